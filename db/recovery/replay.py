"""Replay WAL on a data directory with a private server, and check the recovered database."""

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from db.backup.databases import connected
from db.backup.snapshot import SCHEMA, revision, table_names
from db.cluster.private import PrivateCluster
from db.cluster.programs import Programs
from db.commands import physical
from db.errors import Kind, OperationError
from db.maintenance import TABLES
from db.postgres_errors import find_cause
from db.recovery.commands import command_reads, restore_command
from db.recovery.policy import RecoveryPolicy
from db.recovery.target import Target

Inspect = Callable[[PrivateCluster, str, str], None]
"""Checks a recovered server, with the name of a superuser and of the database."""

REPLAY_TIMEOUT: Final = 7 * 86_400.0
_CONFIGURATION: Final = "postgresql.conf"
# Over the configuration in the backup, which is for another machine. No client connects before the
# end of recovery, and nothing is archived: with an empty command the segments would wait.
_SETTINGS: Final = {
    "port": "5432",
    "hot_standby": "off",
    "archive_mode": "on",
    "archive_command": "",
    "autovacuum": "off",
    "ssl": "off",
    "huge_pages": "off",
    "shared_buffers": "128MB",
    "log_min_messages": "warning",
    "external_pid_file": "",
    "synchronous_standby_names": "",
    "recovery_end_command": "",
    "archive_cleanup_command": "",
    "recovery_min_apply_delay": "0",
}
_STATE: Final = """
SELECT pg_last_xact_replay_timestamp(), pg_last_wal_replay_lsn()::text,
       ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer
"""
_RECOVERY_KINDS: Final = {Kind.DISK_FULL, Kind.TARGET_BEFORE_BACKUP, Kind.WAL_DAMAGED}
# The reason for which PostgreSQL considered a record the end of the archive.
_REASON: Final = re.compile(
    r"LOG: +((?:invalid|incorrect|unexpected|record|missing) .* [0-9A-F]+/.*)"
)


@dataclass(frozen=True, slots=True)
class Proof:
    """The state of the recovered database.

    Attributes
    ----------
    last_transaction_at
        End of the last transaction in it; ``None`` if the WAL held none.
    lsn
        The LSN up to which WAL was replayed.
    timeline
        The new timeline.
    tables
        Rows of each table that existed at that time.
    revision
        Its migration, or ``None`` before the first.
    """

    last_transaction_at: datetime | None
    lsn: str
    timeline: int
    tables: dict[str, int]
    revision: str | None


def replay(  # noqa: PLR0913 - by name, as they are settings of the recovery
    programs: Programs,
    data: Path,
    *,
    policy: RecoveryPolicy,
    target: Target,
    timeline: int,
    user: str,
    database: str,
    inspect: Inspect | None = None,
) -> Proof:
    """Recover a data directory up to ``target``, count its rows, and stop its server.

    Raises OperationError: ``target_before_backup``, ``wal_damaged``, ``disk_full`` or
    ``server_failed``, with the file that has the server's log. The data directory is unusable then.

    Parameters
    ----------
    policy
        With the archive.
    timeline
        The timeline to follow.
    user, database
        For the connection once it is recovered.
    inspect
        Called with the recovered server, the name of the user and of the database.
    """
    settings = {
        **_SETTINGS,
        **target.settings(),
        "recovery_target_timeline": str(timeline),
        "restore_command": restore_command(policy),
    }
    # A base backup of a standby has this one, and a standby never ends its recovery.
    (data / "standby.signal").unlink(missing_ok=True)
    (data / "recovery.signal").touch()
    with _borrowed_configuration(data):
        first = needed = physical.capacities(programs, data)
        while True:
            cluster = PrivateCluster(
                programs,
                data,
                settings=settings | needed,
                start_timeout=REPLAY_TIMEOUT,
                reads=command_reads(policy),
            )
            try:
                cluster.start()
            except OperationError as error:
                # The WAL has raised settings of the primary, which the control file now has.
                before, needed = needed, physical.capacities(programs, data)
                if needed == before:
                    raise _recovery_error(error, target, cluster.log()) from None
                continue
            try:
                proof = _state(cluster.url(database, user))
                if inspect is not None:
                    inspect(cluster, user, database)
            finally:
                cluster.stop()
            break
    _raise_settings(data, first, physical.capacities(programs, data))
    return proof


def _raise_settings(data: Path, first: Mapping[str, str], last: Mapping[str, str]) -> None:
    """Write the settings that were raised after the base backup into the data directory.

    With fewer prepared transactions than it holds, PostgreSQL would not start.
    """
    raised = [f"{name} = '{value}'\n" for name, value in last.items() if value != first[name]]
    if raised:
        with (data / "postgresql.auto.conf").open("a") as file:
            file.writelines(raised)


@contextmanager
def _borrowed_configuration(data: Path) -> Iterator[None]:
    """Create the file of settings where there is none, and remove it in the end.

    Debian keeps the configuration elsewhere; without a file PostgreSQL does not start.
    """
    configuration = data / _CONFIGURATION
    borrowed = not configuration.exists()
    if borrowed:
        configuration.touch()
    yield
    if borrowed:
        configuration.unlink()


def _state(url: str) -> Proof:
    with connected(url) as connection:
        at, lsn, timeline = connection.execute(_STATE).fetchone() or (None, "", 0)
        existing = table_names(connection)
        rows = {str(name): _rows(connection, name) for name in TABLES if name in existing}
        return Proof(at, lsn, timeline, rows, revision(connection))


def _rows(connection: psycopg.Connection, table: str) -> int:
    count = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(SCHEMA, table))
    row = connection.execute(count).fetchone()
    return 0 if row is None else int(row[0])


def _recovery_error(error: OperationError, target: Target, log: str) -> OperationError:
    """Return the error with the cause alone, and the file that has the whole log."""
    kept = f"; the server's log is in {_keep(log)}" if log else ""
    cause = find_cause(error.message)
    if cause is None or error.kind not in _RECOVERY_KINDS:
        return OperationError(error.kind, f"{error.message}{kept}", error.remedy)
    reasons = _REASON.findall(log)
    reported = "; ".join([cause.find(error.message) or "", *reasons[-1:]])
    return OperationError(
        cause.kind, f"recovery to {target} failed: {reported}{kept}", cause.remedy
    )


def _keep(log: str) -> Path:
    descriptor, name = tempfile.mkstemp(prefix="template-service-recovery-", suffix=".log")
    with os.fdopen(descriptor, "w") as file:
        file.write(log)
    return Path(name)
