"""Create the roles of a backup that the server lacks."""

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from db.backup.databases import administering, at
from db.backup.store import create_file
from db.commands.core import Client
from db.commands.restore import run_script

_NAME: Final = r'(?:"(?:[^"]|"")*"|[^\s;"]+)'
_ABOUT: Final = re.compile(rf"(?P<verb>CREATE|ALTER|COMMENT ON|DROP) ROLE (?P<role>{_NAME})")
_MEMBER: Final = re.compile(rf"GRANT {_NAME} TO (?P<role>{_NAME})")
_GRANTOR: Final = re.compile(rf" GRANTED BY {_NAME};")


def create_roles(client: Client, roles: Path) -> list[str]:
    """Create the roles that the server lacks; return their names. Existing ones are unchanged.

    Raises OperationError: ``restore_failed``, ``permission_denied``: no role was created.

    Parameters
    ----------
    client
        Of any database of the server.
    roles
        Output of pg_dumpall, of :func:`db.backup.verify.fetch`. A file is written next to it.
    """
    with administering(client.url) as admin:
        existing = {row["rolname"] for row in admin.execute("SELECT rolname FROM pg_roles")}
        # The client's own database may not exist.
        admin_client = replace(client, url=at(client.url, admin.info.dbname))
    statements = list(missing_roles(roles.read_text(encoding="utf-8"), existing))
    script = roles.with_name("roles.filtered.sql")
    with create_file(script) as file:
        file.write("\n".join(statements).encode())
    with script.open("rb") as file:
        run_script(admin_client, file)
    about = map(_ABOUT.match, statements)
    return [_plain(match["role"]) for match in about if match and match["verb"] == "CREATE"]


def missing_roles(text: str, existing: Collection[str]) -> Iterator[str]:
    """Yield the statements of pg_dumpall about roles that are not in ``existing``.

    ``GRANTED BY`` is removed: from PostgreSQL 16 on only the bootstrap superuser may use it for
    another role, and the one of this server may have another name.
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
