"""Set up WAL archiving on the server.

https://www.postgresql.org/docs/current/continuous-archiving.html. ``ALTER SYSTEM`` writes the
settings to ``postgresql.auto.conf``, which a restored data directory has too.
"""

import os
import shlex
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql
from sqlalchemy import Engine

from db.backup.encryption import recipients
from db.cluster.children import Rights
from db.cluster.processes import private_directory, wait_until
from db.cluster.programs import Programs
from db.cluster.unprivileged import give
from db.commands import physical
from db.errors import Kind, OperationError
from db.hooks import Event, hook_script
from db.recovery import server
from db.recovery.commands import PROGRAM, archive_program
from db.recovery.compression import stored_files, wal_file
from db.recovery.object_path import create
from db.recovery.policy import RecoveryPolicy
from db.recovery.sealed import Sealed
from db.recovery.segments import NAME, segment_system
from db.session import autocommitting

SUMMARIES_SINCE: Final = 170_000
SYSTEM: Final = "system"
"""File next to archive.sh with the system identifier of the archive's cluster."""
COMPRESSION: Final = "compression"
"""File next to archive.sh that says how segments are compressed: ``zstd`` or ``none``."""
RELOAD_TIMEOUT: Final = 10.0
_ALTER: Final = sql.SQL("ALTER SYSTEM SET {} = {}")
_RELOAD: Final = "SELECT pg_reload_conf()"
_SETTINGS: Final = """
SELECT name, setting, source, pending_restart FROM pg_settings WHERE name = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class Setup:
    """Result of a setup.

    Attributes
    ----------
    changed
        The settings that were written, with their new values.
    restart
        Settings that take effect only after a restart; empty when all are in force.
    archived
        Name of a segment that was archived as a test, or ``None`` before the restart.
    """

    changed: dict[str, str]
    restart: list[str]
    archived: str | None


def wanted(engine: Engine, policy: RecoveryPolicy, *, archive_timeout: int) -> dict[str, str]:
    """Return the settings to change, with their new values.

    Raises OperationError: ``archive_library_set`` or ``is_standby``.

    Parameters
    ----------
    archive_timeout
        Seconds after which a segment is archived although it is not full: the most that is lost
        with the server's disk.
    """
    facts = server.server_facts(engine)
    server.require_primary(facts)
    names = ["wal_level", "archive_mode", "archive_command", "archive_timeout", "archive_library"]
    with autocommitting(engine) as connection:
        current = _settings(connection, [*names, "summarize_wal"])
    if current["archive_library"].value:
        raise OperationError(
            "archive_library_set",
            f"the server archives with archive_library = {current['archive_library'].value}, which "
            "excludes an archive_command",
            "run ALTER SYSTEM RESET archive_library and SELECT pg_reload_conf(), then retry",
        )
    values = {"archive_command": command(policy)}
    if current["wal_level"].value == "minimal":
        values["wal_level"] = "replica"
    if current["archive_mode"].value == "off":
        values["archive_mode"] = "on"
    if int(current["archive_timeout"].value) != archive_timeout:
        values["archive_timeout"] = str(archive_timeout)
    if facts.version >= SUMMARIES_SINCE:
        values["summarize_wal"] = "on"
    return {name: value for name, value in values.items() if current[name].value != value}


def statements(changes: Mapping[str, str]) -> list[str]:
    """Return the statements that change these settings, for psql and as a superuser."""
    if not changes:
        return []
    altered = [_ALTER.format(sql.Identifier(name), sql.Literal(changes[name])) for name in changes]
    return [f"{each.as_string()};" for each in (*altered, sql.SQL(_RELOAD))]


def set_up(
    engine: Engine, programs: Programs, policy: RecoveryPolicy, *, archive_timeout: int
) -> Setup:
    """Create the archive, have the server write to it, and test it if no restart is needed.

    A second run changes nothing and repeats the test.

    Raises OperationError: as :func:`wanted` does; ``permission_denied``: the role may not change
    settings; ``setting_overridden``: the server's command line or a later file overrides them;
    ``archive_failed`` or ``archive_elsewhere``: no segment arrives in the directory.
    """
    changes = wanted(engine, policy, archive_timeout=archive_timeout)
    install(policy, _owner(engine, programs, policy), server.server_facts(engine).system)
    with autocommitting(engine) as connection:
        _alter(connection, changes)
        names = ["wal_level", "archive_mode", *changes]
        _wait_for_reload(connection, changes)
        current = _settings(connection, names)
    restart = sorted(name for name in current if current[name].awaits_restart)
    for name, value in changes.items():
        if name not in restart and current[name].value != value:
            raise OperationError(
                Kind.SETTING_OVERRIDDEN,
                f"{name} in postgresql.auto.conf is overridden by the {current[name].source}",
                f"set {name} = {value} there",
            )
    return Setup(changes, restart, None if restart else check_archiving(engine, policy))


def check_archiving(engine: Engine, policy: RecoveryPolicy) -> str:
    """Have a segment archived, check that it is in the directory, and return its name."""
    _, segment = server.archive_now(engine, "template-service pitr setup")
    require_archived(policy, segment)
    return segment


def require_archived(policy: RecoveryPolicy, segment: str) -> None:
    """Refuse a directory that a segment of the server did not arrive in (``archive_elsewhere``)."""
    if not stored_files(policy.storage.wal, segment):
        raise OperationError(
            "archive_elsewhere",
            f"the server archived {segment}, but it is not in {policy.storage.wal}",
            "mount that directory under the same path on the server's machine, or check "
            "TEMPLATE_SERVICE_RECOVERY_TARGET",
        )


def command(policy: RecoveryPolicy) -> str:
    """Return the ``archive_command``; PostgreSQL replaces ``%p`` and ``%f``."""
    script, folder = (
        shlex.quote(str(path)).replace("%", "%%") for path in (_script(policy), policy.wal)
    )
    return f"sh {script} '%p' {folder}/'%f'"


def is_current(policy: RecoveryPolicy) -> bool:
    """Return whether archive.sh stores files as the policy demands, if it is on this machine."""
    path = policy.directory.absolute() / PROGRAM
    if not _script(policy).exists():
        return True
    found = path.read_text(errors="replace").rstrip() if path.exists() else None
    return found == archive_program(policy)


def install(policy: RecoveryPolicy, owner: Rights, system: str) -> None:
    """Create the directories, and install the archive command next to them.

    An existing directory keeps its owner and permissions: an operator may have prepared it.

    Raises OperationError: ``archive_of_another_cluster``; ``hook_failed``; a problem of the
    recipients.
    """
    require_own(policy, system)
    if policy.recipients_file:
        recipients(policy.recipients_file)
    commands: dict[Event, str] = {
        "before_archive": policy.before_archive,
        "after_archive": policy.after_archive,
    }
    hooks = {
        event: hook_script(command, event, str(policy.storage.root)) if command.strip() else ""
        for event, command in commands.items()
    }
    directory = policy.directory.absolute()
    if not directory.exists():
        # The server's user passes through to the archive, and cannot list anything else.
        private_directory(directory, 0o711 if owner.user is not None else 0o700)
    if not policy.target:
        private_directory(policy.base)
    if not policy.wal.exists():
        give(private_directory(policy.wal), owner)
    script = files("db.recovery").joinpath("archive.sh").read_bytes()
    draft = _script(policy).with_name(".archive.sh.new")
    draft.write_bytes(script)
    draft.chmod(0o644)  # the server's user reads it, and only its owner may change it
    draft.replace(_script(policy))
    if not (directory / SYSTEM).exists():
        _write(policy, SYSTEM, system)
    if policy.target and not (policy.storage.root / SYSTEM).exists():
        create(policy.storage.root / SYSTEM, f"{system}\n".encode())
    _write(policy, PROGRAM, archive_program(policy) or "")
    for acknowledgment in policy.wal.glob(".*.ok"):  # of an earlier archive, perhaps
        acknowledgment.unlink(missing_ok=True)
    _write(policy, COMPRESSION, "zstd" if policy.compress else "none")
    for event, hook in hooks.items():
        _write(policy, event, hook)


def _write(policy: RecoveryPolicy, name: str, text: str) -> None:
    """Write a file next to archive.sh, which the server's user reads; remove an empty one."""
    if not text:
        (policy.directory.absolute() / name).unlink(missing_ok=True)
        return
    draft = policy.directory.absolute() / f"{name}.new"
    draft.write_text(f"{text.rstrip()}\n")
    draft.chmod(0o644)
    draft.replace(draft.with_name(name))


def require_own(policy: RecoveryPolicy, system: str) -> None:
    """Refuse an archive of another cluster, whose WAL would fill the gaps of this one's.

    Raises OperationError: ``archive_of_another_cluster``.
    """
    mark, stored = policy.directory / SYSTEM, policy.storage.root / SYSTEM
    found = mark.read_text().strip() if mark.exists() else _system_of_segments(policy.wal)
    if policy.target and found in {None, system} and stored.exists():
        found = stored.read_text().strip()
    if found not in {None, system}:
        raise OperationError(
            "archive_of_another_cluster",
            f"{policy.storage.wal} has the WAL of another cluster: its system identifier is "
            f"{found}, the server's is {system}",
            "set TEMPLATE_SERVICE_RECOVERY_DIRECTORY to a directory of its own, and "
            "TEMPLATE_SERVICE_RECOVERY_TARGET to a prefix of its own",
        )


def _system_of_segments(wal: Path) -> str | None:
    names = sorted(path.name for path in wal.iterdir()) if wal.is_dir() else []
    segments = (
        segment_system(wal / name)
        for name in names[::-1]
        if NAME.fullmatch(wal_file(name)) and Sealed.parse(name) is None
    )
    return next((system for system in segments if system is not None), None)


@dataclass(frozen=True, slots=True)
class _Setting:
    value: str
    source: str
    awaits_restart: bool


def _script(policy: RecoveryPolicy) -> Path:
    return policy.directory.absolute() / "archive.sh"


def _settings(connection: psycopg.Connection, names: list[str]) -> dict[str, _Setting]:
    rows = connection.execute(_SETTINGS, [names]).fetchall()
    settings = {name: _Setting(*rest) for name, *rest in rows}
    # Without archiving, the server shows "(disabled)" instead of the stored command.
    if (shown := settings.get("archive_command")) is not None and shown.value == "(disabled)":
        stored = connection.execute(
            "SELECT setting FROM pg_file_settings WHERE name = 'archive_command'"
            " ORDER BY seqno DESC LIMIT 1"
        ).fetchone()
        value = "" if stored is None else str(stored[0])
        settings["archive_command"] = _Setting(value, shown.source, shown.awaits_restart)
    return settings


def _alter(connection: psycopg.Connection, changes: dict[str, str]) -> None:
    try:
        for name, value in changes.items():
            connection.execute(_ALTER.format(sql.Identifier(name), sql.Literal(value)))
        connection.execute(_RELOAD)
    except psycopg.errors.InsufficientPrivilege as error:
        raise OperationError(
            Kind.PERMISSION_DENIED,
            f"this role may not change the server's settings: {error.diag.message_primary}",
            "run the statements above as a superuser, or set "
            "TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL to one for this command",
        ) from None


def _wait_for_reload(connection: psycopg.Connection, changes: dict[str, str]) -> None:
    def is_taken() -> bool:
        current = _settings(connection, list(changes))
        return all(
            current[name].awaits_restart or current[name].value == value
            for name, value in changes.items()
        )

    wait_until(is_taken, RELOAD_TIMEOUT)


def _owner(engine: Engine, programs: Programs, policy: RecoveryPolicy) -> Rights:
    """Return the owner for the archive: the server's user, if it runs on this machine."""
    if os.geteuid() != 0:
        return Rights()
    if policy.wal.exists():
        return _owner_of(policy.wal)
    with autocommitting(engine) as connection:
        row = connection.execute("SHOW data_directory").fetchone()
    data = Path(str(row[0])) if row is not None else Path()
    if (data / "PG_VERSION").exists():
        control = physical.control_data(programs, data)
        if control.get("Database system identifier") == server.server_facts(engine).system:
            return _owner_of(data)

    return Rights()


def _owner_of(path: Path) -> Rights:
    status = path.stat()
    is_ours = status.st_uid == 0 or not stat.S_ISDIR(status.st_mode)
    return Rights() if is_ours else Rights(status.st_uid, status.st_gid)
