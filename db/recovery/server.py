"""What point-in-time recovery asks the running server, and has it do."""

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
# Without a record of its own the switch would do nothing on a server at rest.
_MARK: Final = text("""
SELECT lsn::text, pg_walfile_name(lsn) FROM pg_create_restore_point(:name) AS lsn
""")
_SWITCH: Final = text("SELECT pg_switch_wal()")
_TABLES: Final = text("""
SELECT pg_relation_filenode(oid), relname FROM pg_class
WHERE relkind = 'r' AND relnamespace <> 'pg_catalog'::regnamespace
""")


@dataclass(frozen=True, slots=True)
class Server:
    """What a running server says about itself.

    Attributes
    ----------
    version
        Such as 180006.
    system
        Identifier of the database cluster.
    superuser
        The role that ``initdb`` made, which has the same number everywhere.
    in_recovery
        It is a standby.
    archives, summarizes
        Whether it archives its WAL, and summarizes it for incremental backups.
    segment_bytes
        Size of a WAL segment.
    now
        Its clock.
    tablespaces
        Those beside its own two.
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
    """``pg_stat_archiver``: what was archived last, and what was not; ``now`` is its clock."""

    last_archived_wal: str | None
    last_archived_time: datetime | None
    last_failed_wal: str | None
    last_failed_time: datetime | None
    failed_count: int
    now: datetime

    @property
    def fails(self) -> bool:
        """Whether the last try failed."""
        if self.last_failed_time is None:
            return False
        return self.last_archived_time is None or self.last_failed_time > self.last_archived_time


def ask(engine: Engine) -> Server:
    """Return what the server says about itself."""
    with engine.connect() as connection:
        return Server(**connection.execute(_FACTS).mappings().one())


def archiver(engine: Engine) -> Archiver:
    """Return what the server says about its archiver."""
    with engine.connect() as connection:
        return Archiver(**connection.execute(_ARCHIVER).mappings().one())


def archive_now(engine: Engine, name: str, timeout: float = ARCHIVE_TIMEOUT) -> tuple[str, str]:
    """Make a restore point, have all WAL up to it archived, and wait for that.

    Parameters
    ----------
    name
        Of the restore point.
    timeout
        Seconds to wait.

    Returns
    -------
    tuple of str
        The LSN of the restore point, and the name of its segment.

    Raises
    ------
    OperationError
        ``is_standby``, ``archiving_off``, or ``archive_failed``: the archive command fails, or
        does not end.
    """
    facts = ask(engine)
    if facts.in_recovery:
        raise OperationError(
            "is_standby", "the server is a standby", "let DATABASE_URL name the primary"
        )
    if not facts.archives:
        raise OperationError(
            "archiving_off",
            "the server archives no WAL",
            "run: template-service pitr setup",
        )
    failed = archiver(engine).failed_count
    with engine.connect() as connection:
        lsn, segment = map(str, connection.execute(_MARK, {"name": name}).one())
        connection.execute(_SWITCH)
    wait_until(
        lambda: _is_archived(engine, segment) or archiver(engine).failed_count > failed, timeout
    )
    if _is_archived(engine, segment):
        return lsn, segment
    told = archiver(engine)
    which = told.last_failed_wal if told.fails else segment
    raise OperationError(
        "archive_failed",
        f"the server did not archive {which}",
        "its log says why; the archive's folder must be there for the server's user to write to, "
        "with room in it: template-service pitr setup",
    )


def tables(engine: Engine) -> dict[int, str]:
    """Return the names of this database's tables by the number of their file."""
    with engine.connect() as connection:
        return {int(number): str(name) for number, name in connection.execute(_TABLES)}


def is_refused(error: DBAPIError) -> bool:
    """Tell whether the server answered that the role may not do this."""
    return isinstance(error.orig, psycopg.errors.InsufficientPrivilege)


def _is_archived(engine: Engine, segment: str) -> bool:
    last = archiver(engine).last_archived_wal
    # By place; what comes after it was archived after it.
    return last is not None and last[8:24] >= segment[8:24] and last[:8] == segment[:8]
