"""A standby is made: a copy of the primary that follows it from the first byte on."""

import re
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import psycopg
from psycopg.conninfo import make_conninfo

from db.cluster.processes import wait_until, write_private
from db.cluster.unprivileged import give
from db.commands.core import Client
from db.errors import OperationError
from db.replication.local import rights_on
from db.replication.login import connection_of, try_login
from db.replication.names import USER
from db.replication.place import HBA, check_folder, check_port, complete
from db.replication.primary import drop_login, ensure_login, examine
from db.replication.servers import Address, connected
from db.replication.slots import drop_slot, is_active, reserve_slot

_NAME: Final = re.compile(r"[a-z0-9_]{1,63}")  # of a replication slot
_PROGRAMS: Final = ("postgres", "pg_ctl", "pg_basebackup", "pg_verifybackup")
_RELEASE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """The standby to make.

    Attributes
    ----------
    name
        Of the standby and of its replication slot.
    into
        Its data directory, which must not exist, on this machine.
    listen
        Where it shall listen.
    user
        The role with which it logs in to its primary.
    """

    name: str
    into: Path
    listen: Address
    user: str = USER


@dataclass(frozen=True, slots=True)
class Made:
    """The standby that was made, not started yet.

    Attributes
    ----------
    passfile
        Where its password is, for its user alone.
    bytes
        Size of all databases when the copy began.
    settings
        Of the primary: those that decide how long the standby may stay away.
    warnings
        What an operator should change soon.
    """

    name: str
    directory: Path
    primary: Address
    listen: Address
    user: str
    passfile: Path
    bytes: int
    settings: dict[str, str]
    warnings: list[str]


def create(client: Client, wanted: Wanted, *, password: str | None = None) -> Made:
    """Make a standby of the primary that ``client`` names, with its role and its slot.

    It is copied with ``pg_basebackup -R`` under another name, verified, and has its own name only
    when it is whole. When that fails, nothing of it is left, here or on the primary.
    https://www.postgresql.org/docs/current/app-pgbasebackup.html

    Parameters
    ----------
    password
        Of the standby's role; ``None`` has one made.

    Raises
    ------
    OperationError
        As :func:`db.replication.primary.examine` and the other steps tell, or ``bad_name``.
    """
    for program in _PROGRAMS:
        client.programs.path(program)
    if _NAME.fullmatch(wanted.name) is None:
        raise OperationError(
            "bad_name",
            f"a standby cannot be named {wanted.name!r}",
            "use 1 to 63 small letters, digits and underscores",
        )
    wanted = replace(wanted, into=wanted.into.absolute())
    left: list[str] = []
    try:
        with ExitStack() as undo:
            made = _make(client, wanted, password, undo, left)
            undo.pop_all()
    except OperationError as error:
        if not left:
            raise
        remedy = f"{error.remedy}; then remove what it left on the primary: {', '.join(left)}"
        raise OperationError(error.kind, error.message, remedy) from None
    return made


def _make(
    client: Client, wanted: Wanted, password: str | None, undo: ExitStack, left: list[str]
) -> Made:
    into = wanted.into
    draft, passfile = (into.with_name(into.name + end) for end in (".partial", ".passfile"))
    for path in (into, draft):
        check_folder(path)
    check_port(wanted.listen)
    rights = rights_on(client.programs, into)

    def on_primary(step: Callable[[psycopg.Connection], None], what: str) -> None:
        try:
            with connected(client.url) as connection:
                step(connection)
        except OperationError:
            left.append(what)

    with connected(client.url) as connection:
        primary = examine(connection, client.programs)
        login = ensure_login(connection, wanted.user, password)
        undo.callback(on_primary, lambda other: drop_login(other, login), f"role {login.user}")
        source = connection_of(client.url, primary, login.user)
        try_login(source, login, primary)
        reserve_slot(connection, wanted.name)
        undo.callback(on_primary, lambda other: _release(other, wanted.name), f"slot {wanted.name}")
    word = login.password.replace("\\", r"\\").replace(":", r"\:")
    write_private(passfile, f"*:*:*:*:{word}\n")
    undo.callback(passfile.unlink)
    give(passfile, rights)
    draft.mkdir(0o700)
    undo.callback(shutil.rmtree, draft)
    give(draft, rights)
    source["passfile"] = str(passfile)
    _copy(replace(client, url=make_conninfo(**source), rights=rights), draft, wanted.name)
    conninfo = make_conninfo(**source, application_name=wanted.name)
    missing = complete(draft, primary, wanted.listen, conninfo, rights)
    draft.rename(into)
    warnings = list(primary.warnings)
    if HBA in missing:
        warnings.append(
            f"{HBA} of the primary is not in its data directory: {into / HBA} lets in every role "
            "that has a password, until you change it"
        )
    return Made(
        name=wanted.name,
        directory=into,
        primary=primary.address,
        listen=wanted.listen,
        user=login.user,
        passfile=passfile,
        bytes=primary.size,
        settings={name: str(value) for name, value in primary.settings.items()},
        warnings=warnings,
    )


def _copy(client: Client, draft: Path, slot: str) -> None:
    client.run(
        "pg_basebackup",
        [
            f"--pgdata={draft}",
            "--format=plain",
            "--wal-method=stream",
            f"--slot={slot}",
            "--checkpoint=fast",
            "--write-recovery-conf",
            "--no-password",
        ],
    )
    client.run("pg_verifybackup", ["--quiet", str(draft)])


def _release(connection: psycopg.Connection, slot: str) -> None:
    # The server sees within a moment that a copy which was broken off is gone.
    wait_until(lambda: not is_active(connection, slot), _RELEASE_SECONDS)
    drop_slot(connection, slot)
