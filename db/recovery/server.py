"""Queries and requests of point-in-time recovery to the running server."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from db.cluster.processes import wait_until
from db.errors import OperationError

ARCHIVE_TIMEOUT: Final = 60.0
_FACTS: Final = text("""
SELECT current_setting('server_version_num')::integer AS version,
       (SELECT system_identifier::text FROM pg_control_system()) AS system,
       (SELECT rolname::text FROM pg_roles WHERE oid = 10) AS superuser,
       pg_is_in_recovery() AS in_recovery,
       current_setting('archive_mode') <> 'off' AS archives,
       coalesce(current_setting('summarize_wal', true), 'off') = 'on' AS summarizes,
       pg_size_bytes(current_setting('wal_segment_size')) AS segment_bytes,
       clock_timestamp() AS now,
       ARRAY(
           SELECT spcname::text FROM pg_tablespace
           WHERE spcname NOT IN ('pg_default', 'pg_global')
       ) AS tablespaces
""")
_ARCHIVER: Final = text("""
SELECT last_archived_wal, last_archived_time, last_failed_wal, last_failed_time, failed_count,
       clock_timestamp() AS now
FROM pg_stat_archiver
""")
# Without a new record, switching the segment would do nothing on an idle server.
_MARK: Final = text("""
SELECT lsn::text, pg_walfile_name(lsn) FROM pg_create_restore_point(:name) AS lsn
""")
_SWITCH: Final = text("SELECT pg_switch_wal()")
_TABLES: Final = text("""
SELECT pg_relation_filenode(oid), relname FROM pg_class
WHERE relkind = 'r' AND relnamespace <> 'pg_catalog'::regnamespace
""")


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """Version, identity and WAL settings of a running server.

    ``version`` is a number such as 180006, ``system`` the system identifier of the cluster,
    ``superuser`` the bootstrap superuser; built-in tablespaces are omitted.
    """

    version: int
    system: str
    superuser: str
    in_recovery: bool
    archives: bool
    summarizes: bool
    segment_bytes: int
    now: datetime
    tablespaces: list[str]


@dataclass(frozen=True, slots=True)
class Archiver:
    """A row of ``pg_stat_archiver``; ``now`` is the server's clock."""

    last_archived_wal: str | None
    last_archived_time: datetime | None
    last_failed_wal: str | None
    last_failed_time: datetime | None
    failed_count: int
    now: datetime

    @property
    def fails(self) -> bool:
        """Whether the last attempt failed."""
        if self.last_failed_time is None:
            return False
        return self.last_archived_time is None or self.last_failed_time > self.last_archived_time


def server_facts(engine: Engine) -> ServerFacts:
    """Return facts about the server."""
    with engine.connect() as connection:
        return ServerFacts(**connection.execute(_FACTS).mappings().one())


def require_primary(facts: ServerFacts) -> None:
    """Refuse a standby (raises ``is_standby``)."""
    if facts.in_recovery:
        raise OperationError(
            "is_standby", "the server is a standby", "set DATABASE_URL to the primary"
        )


def require_archiving(facts: ServerFacts) -> None:
    """Refuse a standby, and a server that archives no WAL.

    Raises OperationError: ``is_standby`` or ``archiving_off``.
    """
    require_primary(facts)
    if not facts.archives:
        raise OperationError(
            "archiving_off", "the server does not archive WAL", "run: template-service pitr setup"
        )


def archiver(engine: Engine) -> Archiver:
    """Return the statistics of the server's archiver."""
    with engine.connect() as connection:
        return Archiver(**connection.execute(_ARCHIVER).mappings().one())


def archive_now(engine: Engine, name: str) -> tuple[str, str]:
    """Create a restore point and wait until it is archived; return its LSN and segment.

    Raises OperationError: ``is_standby``, ``archiving_off``, or ``archive_failed``: the archive
    command fails, or takes longer than :data:`ARCHIVE_TIMEOUT`.
    """
    require_archiving(server_facts(engine))
    failed = archiver(engine).failed_count
    with engine.connect() as connection:
        lsn, segment = map(str, connection.execute(_MARK, {"name": name}).one())
        connection.execute(_SWITCH)
    wait_until(
        lambda: _is_archived(engine, segment) or archiver(engine).failed_count > failed,
        ARCHIVE_TIMEOUT,
    )
    if _is_archived(engine, segment):
        return lsn, segment
    statistics = archiver(engine)
    which = statistics.last_failed_wal if statistics.fails else segment
    raise OperationError(
        "archive_failed",
        f"the server did not archive {which}",
        "see the server's log; its user must be able to write to the archive directory, which must "
        "have free space, and to run the program of an encrypted or stored archive (the local "
        "stack can after its restart): template-service pitr setup",
    )


def tables(engine: Engine) -> dict[int, str]:
    """Return the names of this database's tables by their filenode."""
    with engine.connect() as connection:
        return {int(number): str(name) for number, name in connection.execute(_TABLES)}


def is_refused(error: DBAPIError) -> bool:
    """Return whether the server reported that the role lacks permission."""
    return isinstance(error.orig, psycopg.errors.InsufficientPrivilege)


def _is_archived(engine: Engine, segment: str) -> bool:
    last = archiver(engine).last_archived_wal
    # Segments are archived in the order of their positions.

    return last is not None and last[8:24] >= segment[8:24] and last[:8] == segment[:8]
