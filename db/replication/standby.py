"""Create a standby: a copy of the primary that streams from it from the first byte on."""

import re
import shutil
import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import psycopg
from psycopg.conninfo import make_conninfo

from db.cluster.processes import wait_until, write_private
from db.cluster.unprivileged import give
from db.commands.core import Client, passfile_line
from db.errors import Kind, OperationError
from db.recovery.policy import RecoveryPolicy
from db.replication.local import rights_on
from db.replication.login import connection_of, copied_certificates, try_login
from db.replication.names import USER
from db.replication.primary import drop_login, ensure_login, examine
from db.replication.servers import Address, connected
from db.replication.slots import RELEASE_SECONDS, drop_slot, is_active, reserve_slot
from db.replication.standby_directory import (
    HBA,
    archive_settings,
    check_directory,
    check_port,
    complete,
)

_NAME: Final = re.compile(r"[a-z0-9_]{1,63}")  # of a replication slot
_PROGRAMS: Final = ("postgres", "pg_ctl", "pg_basebackup", "pg_controldata", "pg_verifybackup")


@dataclass(frozen=True, slots=True)
class StandbyOptions:
    """The standby to create.

    Attributes
    ----------
    name
        Name of the standby and of its replication slot.
    into
        Its data directory on this machine, which must not exist.
    listen
        The address to listen on.
    recovery
        The WAL archive, which it reads when the primary has removed WAL.
    user
        The role that it replicates as.
    """

    name: str
    into: Path
    listen: Address
    recovery: RecoveryPolicy
    user: str = USER


@dataclass(frozen=True, slots=True)
class Standby:
    """A standby that was created and is not started yet.

    Attributes
    ----------
    passfile
        File with its password, which only its user may read.
    bytes
        Size of all databases when the copy began.
    settings
        The primary's settings that limit how long the standby may be disconnected, and
        ``restore_command`` if the standby reads the WAL archive.
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


def create(client: Client, options: StandbyOptions, *, password: str | None = None) -> Standby:
    """Create a standby of the primary of ``client``, with its role and its slot.

    It is copied with ``pg_basebackup -R`` under another name, verified, and then renamed. After an
    error nothing of it is left, on this machine or on the primary.
    https://www.postgresql.org/docs/current/app-pgbasebackup.html

    Raises OperationError: ``bad_name``, and the errors of :func:`db.replication.primary.examine`
    and the other steps.

    Parameters
    ----------
    password
        Password of the standby's role; ``None`` generates one.
    """
    for program in _PROGRAMS:
        client.programs.path(program)
    if _NAME.fullmatch(options.name) is None:
        raise OperationError(
            Kind.BAD_NAME,
            f"invalid name of a standby: {options.name!r}",
            "use 1 to 63 lower-case letters, digits and underscores",
        )
    options = replace(options, into=options.into.absolute())
    left: list[str] = []
    try:
        with ExitStack() as undo:
            standby = _create(client, options, password, undo, left)
            undo.pop_all()
    except OperationError as error:
        if not left:
            raise
        remedy = f"{error.remedy}; then drop on the primary: {', '.join(left)}"
        raise OperationError(error.kind, error.message, remedy) from None
    return standby


def _create(
    client: Client, options: StandbyOptions, password: str | None, undo: ExitStack, left: list[str]
) -> Standby:
    into = options.into
    draft, passfile = (into.with_name(into.name + end) for end in (".partial", ".passfile"))
    check_directory(into)
    if draft.exists():
        raise OperationError(
            Kind.EXISTS,
            f"{draft} already exists: another replica create runs, or was interrupted",
            f"if none runs, remove {draft} and {passfile}, run template-service replica drop "
            f"{options.name}, and retry",
        )
    check_port(options.listen)
    rights = rights_on(client.programs, into, options.recovery)

    def on_primary(step: Callable[[psycopg.Connection], None], what: str) -> None:
        try:
            with connected(client.url) as connection:
                step(connection)
        except OperationError:
            left.append(what)

    with connected(client.url) as connection:
        primary = examine(connection, client.programs)
        login = ensure_login(connection, options.user, password)
        undo.callback(on_primary, lambda other: drop_login(other, login), f"role {login.user}")
        source = connection_of(client.url, primary, login.user)
        try_login(source, login, primary)
        reserve_slot(connection, options.name)
        slot = options.name
        undo.callback(on_primary, lambda other: _release(other, slot), f"slot {slot}")
    write_private(passfile, passfile_line(login.password))
    undo.callback(passfile.unlink)
    give(passfile, rights)
    draft.mkdir(0o700)
    undo.callback(shutil.rmtree, draft)
    give(draft, rights)
    source["passfile"] = str(passfile)
    source |= copied_certificates(source, into, rights, undo)
    _copy(replace(client, url=make_conninfo(**source), rights=rights), draft, options.name)
    conninfo = make_conninfo(**source, application_name=options.name)
    archive, warnings = archive_settings(options.recovery, primary, rights)
    # pg_basebackup connected without the standby's name: with it, the unfinished copy could have
    # counted as a synchronous standby.
    own = {"primary_conninfo": conninfo, **archive}
    missing = complete(client.programs, draft, primary, options.listen, own, rights)
    draft.rename(into)
    warnings = [*primary.warnings, *warnings]
    if HBA in missing:
        warnings.append(
            f"{HBA} of the primary is not in its data directory: {into / HBA} lets in every role "
            "with a password, until you change it"
        )
    return Standby(
        name=options.name,
        directory=into,
        primary=primary.address,
        listen=options.listen,
        user=login.user,
        passfile=passfile,
        bytes=primary.size,
        settings={name: str(value) for name, value in primary.settings.items()} | archive,
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
        death_signal=signal.SIGTERM,
    )
    client.run("pg_verifybackup", ["--quiet", str(draft)])


def _release(connection: psycopg.Connection, slot: str) -> None:
    # It takes the server a moment to notice that an aborted copy has disconnected.
    wait_until(lambda: not is_active(connection, slot), RELEASE_SECONDS)
    drop_slot(connection, slot)
