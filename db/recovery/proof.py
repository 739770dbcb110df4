"""Prove a data directory: have PostgreSQL recover on it, and look at what is in it then."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from db.cluster.private import PrivateCluster
from db.cluster.processes import Rights
from db.cluster.programs import Programs
from db.cluster.unprivileged import with_reach
from db.commands import physical
from db.errors import OperationError
from db.recovery.target import Target

TABLES: Final = ("templates", "template_versions", "template_translations")
REPLAY_TIMEOUT: Final = 7 * 86_400.0
_CONFIGURATION: Final = "postgresql.conf"
# What the server was started with and a recovery must have as much of, as pg_controldata names it.
_CAPACITIES: Final = {
    "max_connections setting": "max_connections",
    "max_worker_processes setting": "max_worker_processes",
    "max_wal_senders setting": "max_wal_senders",
    "max_prepared_xacts setting": "max_prepared_transactions",
    "max_locks_per_xact setting": "max_locks_per_transaction",
}
# Over the configuration in the backup, which was made for another place. Nobody connects before
# the end of recovery, and nothing is archived by a server that only shows that it could.
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
_CAUSES: Final = (
    (
        "requested recovery stop point is before consistent recovery point",
        "target_before_backup",
        "restore from an older base backup: --from NAME (template-service pitr status)",
    ),
    # It is in the archive, or nothing had been built.
    (
        "recovery ended before configured recovery target was reached",
        "wal_damaged",
        "restore to a time before the damage, or from a base backup after it",
    ),
    (
        "has wrong size",
        "wal_damaged",
        "restore from a base backup after it, or to a time before: template-service pitr status",
    ),
    ("No space left on device", "disk_full", "free some space and start it again"),
)
# Why PostgreSQL took a place in the archive for its end.
_REASON: Final = re.compile(
    r"LOG: +((?:invalid|incorrect|unexpected|record|missing) .* [0-9A-F]+/.*)"
)


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found in the recovered database.

    Attributes
    ----------
    last_transaction_at
        When the last transaction that is in it ended; ``None`` if no WAL held any.
    lsn
        How far WAL was replayed.
    timeline
        The new one.
    tables
        Rows of each table that was there at that time.
    revision
        Its migration, or ``None`` before the first.
    """

    last_transaction_at: datetime | None
    lsn: str
    timeline: int
    tables: dict[str, int]
    revision: str | None


def prove(  # noqa: PLR0913 - by name, as they are settings of the recovery
    programs: Programs,
    data: Path,
    *,
    archive: Path,
    target: Target,
    timeline: int,
    user: str,
    database: str,
) -> Proof:
    """Recover a data directory up to ``target`` and count what is in it; it is stopped then.

    Parameters
    ----------
    archive
        Folder of archived WAL.
    timeline
        The one to recover along.
    user, database
        What to connect as, and to, once it is recovered.

    Raises
    ------
    OperationError
        ``target_before_backup``, ``wal_damaged``, ``disk_full`` or ``server_failed``.
        The data directory is of no use then.
    """
    settings = {
        **_SETTINGS,
        **_capacities(physical.control_data(programs, data)),
        **target.settings(),
        "recovery_target_timeline": str(timeline),
        "restore_command": f"cp {shlex.quote(str(archive)).replace('%', '%%')}/'%f' '%p'",
    }
    (data / "recovery.signal").touch()
    # Debian keeps the configuration elsewhere; without any PostgreSQL does not start.
    configuration = data / _CONFIGURATION
    borrowed = not configuration.exists()
    if borrowed:
        configuration.touch()
    cluster = _Recovering(programs, data, archive, settings)
    try:
        with cluster:
            found = _look(cluster.url(database, user))
    except OperationError as error:
        raise _explained(error, target) from None
    if borrowed:
        configuration.unlink()
    return found


class _Recovering(PrivateCluster):
    """A server that reaches the archive too, which may lie behind other folders than its data."""

    def __init__(
        self, programs: Programs, data: Path, archive: Path, settings: Mapping[str, str]
    ) -> None:
        super().__init__(programs, data, settings=settings, start_timeout=REPLAY_TIMEOUT)
        reached = with_reach(super().rights, Path(programs.path("postgres")), [data, archive])
        if reached is None:
            raise OperationError(
                "not_reachable",
                f"PostgreSQL does not run as root, and user {super().rights.user} cannot reach "
                f"{archive}",
                "run this as an ordinary user, or move the archive to a folder that everyone may "
                "search",
            )
        self._reached = reached

    @property
    def rights(self) -> Rights:
        """As whom it runs, and whose the data are."""
        return self._reached


def _capacities(control: Mapping[str, str]) -> dict[str, str]:
    return {setting: control[name] for name, setting in _CAPACITIES.items()}


def _look(url: str) -> Proof:
    with psycopg.connect(url, autocommit=True) as connection:
        at, lsn, timeline = connection.execute(_STATE).fetchone() or (None, "", 0)
        tables = {
            table: int(str(_value(connection, sql.SQL("SELECT count(*) FROM {}"), table)))
            for table in TABLES
            if _exists(connection, table)
        }
        revision = (
            _value(connection, sql.SQL("SELECT max(version_num) FROM {}"), "alembic_version")
            if _exists(connection, "alembic_version")
            else None
        )
    return Proof(at, lsn, timeline, tables, None if revision is None else str(revision))


def _exists(connection: psycopg.Connection, table: str) -> bool:
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [table]).fetchone()
    return row is not None and bool(row[0])


def _value(connection: psycopg.Connection, statement: sql.SQL, table: str) -> object:
    row = connection.execute(statement.format(sql.Identifier(table))).fetchone()
    return None if row is None else row[0]


def _explained(error: OperationError, target: Target) -> OperationError:
    for words, kind, remedy in _CAUSES:
        if words in error.message:
            reasons = _REASON.findall(error.message)
            told = "; ".join([words, *reasons[-1:]])
            return OperationError(kind, f"recovery to {target} failed: {told}", remedy)
    return error
