"""Replay WAL on a data directory with a private server, and check the recovered database."""

import re
import shlex
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from db.backup.snapshot import SCHEMA, revision, table_names
from db.cluster.private import PrivateCluster
from db.cluster.programs import Programs
from db.commands import physical
from db.errors import Kind, OperationError
from db.maintenance import TABLES
from db.postgres_errors import find_cause
from db.recovery.target import Target

REPLAY_TIMEOUT: Final = 7 * 86_400.0
_CONFIGURATION: Final = "postgresql.conf"
# A recovery refuses lower values than the primary had; by the names of pg_controldata.
_CAPACITIES: Final = {
    "max_connections setting": "max_connections",
    "max_worker_processes setting": "max_worker_processes",
    "max_wal_senders setting": "max_wal_senders",
    "max_prepared_xacts setting": "max_prepared_transactions",
    "max_locks_per_xact setting": "max_locks_per_transaction",
}
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
    archive: Path,
    target: Target,
    timeline: int,
    user: str,
    database: str,
) -> Proof:
    """Recover a data directory up to ``target``, count its rows, and stop its server.

    Raises OperationError: ``target_before_backup``, ``wal_damaged``, ``disk_full`` or
    ``server_failed``. The data directory is unusable then.

    Parameters
    ----------
    archive
        Directory of archived WAL.
    timeline
        The timeline to follow.
    user, database
        For the connection once it is recovered.
    """
    control = physical.control_data(programs, data)
    settings = {
        **_SETTINGS,
        **{setting: control[name] for name, setting in _CAPACITIES.items()},
        **target.settings(),
        "recovery_target_timeline": str(timeline),
        "restore_command": f"cp {shlex.quote(str(archive)).replace('%', '%%')}/'%f' '%p'",
    }
    (data / "recovery.signal").touch()
    # Debian keeps the configuration elsewhere; without a file PostgreSQL does not start.
    configuration = data / _CONFIGURATION
    borrowed = not configuration.exists()
    if borrowed:
        configuration.touch()
    cluster = PrivateCluster(
        programs, data, settings=settings, start_timeout=REPLAY_TIMEOUT, reads=[archive]
    )
    try:
        with cluster:
            proof = _state(cluster.url(database, user))
    except OperationError as error:
        raise _recovery_error(error, target) from None
    if borrowed:
        configuration.unlink()
    return proof


def _state(url: str) -> Proof:
    with psycopg.connect(url, autocommit=True) as connection:
        at, lsn, timeline = connection.execute(_STATE).fetchone() or (None, "", 0)
        existing = table_names(connection)
        rows = {str(name): _rows(connection, name) for name in TABLES if name in existing}
        return Proof(at, lsn, timeline, rows, revision(connection))


def _rows(connection: psycopg.Connection, table: str) -> int:
    count = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(SCHEMA, table))
    row = connection.execute(count).fetchone()
    return 0 if row is None else int(row[0])


def _recovery_error(error: OperationError, target: Target) -> OperationError:
    """Return the error with the cause alone, which the log of 20 lines would hide."""
    cause = find_cause(error.message)
    if cause is None or error.kind not in _RECOVERY_KINDS:
        return error
    reasons = _REASON.findall(error.message)
    reported = "; ".join([cause.find(error.message) or "", *reasons[-1:]])
    return OperationError(cause.kind, f"recovery to {target} failed: {reported}", cause.remedy)
