"""The roles of a backup, for a server that lacks them."""

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from db.backup.databases import administering, at
from db.backup.store import create
from db.commands.core import Client
from db.commands.restore import run_script

_NAME: Final = r'(?:"(?:[^"]|"")*"|[^\s;"]+)'
_ABOUT: Final = re.compile(rf"(?P<verb>CREATE|ALTER|COMMENT ON|DROP) ROLE (?P<role>{_NAME})")
_MEMBER: Final = re.compile(rf"GRANT {_NAME} TO (?P<role>{_NAME})")
_GRANTOR: Final = re.compile(rf" GRANTED BY {_NAME};")


def make_roles(client: Client, roles: Path) -> list[str]:
    """Make the roles that the server lacks; return their names. Those that exist stay as they are.

    Parameters
    ----------
    client
        Of any database of the server.
    roles
        What pg_dumpall printed, of :func:`db.backup.fetch.fetch`. A file is written beside it.

    Raises
    ------
    OperationError
        ``restore_failed``, ``permission_denied``: no role was made.
    """
    with administering(client.url) as admin:
        existing = {row["rolname"] for row in admin.execute("SELECT rolname FROM pg_roles")}
        # Any database will do, and the client's own may be lost.
        anywhere = Client(
            client.programs, at(client.url, admin.info.dbname), client.rights, client.options
        )
    text = roles.read_text(encoding="utf-8")
    script = roles.with_name("roles.chosen.sql")
    with create(script) as file:
        file.write("\n".join(chosen(text, existing)).encode())
    with script.open("rb") as file:
        run_script(anywhere, file)
    about = (_ABOUT.match(statement) for statement in chosen(text, existing))
    return [_plain(match["role"]) for match in about if match and match["verb"] == "CREATE"]


def chosen(text: str, existing: Collection[str]) -> Iterator[str]:
    """Yield the statements of pg_dumpall that are about other roles than ``existing``.

    Memberships are granted by whoever runs them: from PostgreSQL 16 on only the bootstrap superuser
    may stand in for another, and the one of this server may have another name.
    """
    for statement in _statements(text):
        match = _ABOUT.match(statement) or _MEMBER.match(statement)
        if match is None or _plain(match["role"]) not in existing:
            yield _GRANTOR.sub(";", statement) if statement.startswith("GRANT ") else statement


def _statements(text: str) -> Iterator[str]:
    lines: list[str] = []
    for line in text.splitlines():
        if not lines and (not line or line.startswith(("--", "\\"))):
            yield line
            continue
        lines.append(line)
        if line.endswith(";"):
            yield "\n".join(lines)
            lines = []
    if lines:
        yield "\n".join(lines)


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
