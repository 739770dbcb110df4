"""``REINDEX INDEX CONCURRENTLY``, one index after the other.

https://www.postgresql.org/docs/current/sql-reindex.html#SQL-REINDEX-CONCURRENTLY: readers and
writers continue; it waits for transactions that were using the table when it began, and leaves an
invalid index behind when it fails.
"""

from time import monotonic
from typing import Final, NamedTuple

from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from db.errors import Kind, OperationError
from db.locks import alone
from db.maintenance import EVERY_TABLE
from db.maintenance.tables import Maintained

TASK: Final = "maintenance.reindex"
TRIES: Final = 2
LOCK_TIMEOUT: Final = "15s"
"""For transactions that use a table. Only VACUUM, ANALYZE and changes of the schema queue behind
this wait: its lock is SHARE UPDATE EXCLUSIVE
(https://www.postgresql.org/docs/current/explicit-locking.html)."""

# A table's TOAST index too, if the role may name it: cleanups bloat that table most.
_INDEXES: Final = text("""
SELECT c.relname AS table_name,
       format('%I.%I', n.nspname, i.relname) AS index_name,
       NOT x.indisvalid AND i.relname ~ '_cc(new|old)[0-9]*$' AS is_leftover
FROM pg_class AS c
JOIN pg_index AS x ON x.indrelid IN (c.oid, c.reltoastrelid)
JOIN pg_class AS i ON i.oid = x.indexrelid
JOIN pg_namespace AS n ON n.oid = i.relnamespace
WHERE c.oid = ANY(CAST(:tables AS regclass[]))
    AND has_schema_privilege(n.oid, 'USAGE')
ORDER BY array_position(CAST(:tables AS regclass[]), CAST(c.oid AS regclass)), index_name
""")


class _Index(NamedTuple):
    table: str
    name: str
    is_leftover: bool


def reindex(engine: Engine, *, dry_run: bool) -> Maintained:
    """Rebuild every index, and drop invalid ones that failed builds left behind.

    An index that a transaction uses is retried after the others.

    Raises OperationError: ``in_use``: some indexes could not be rebuilt; all others were.
    """
    done = Maintained()
    with alone(engine, TASK) as free:
        if not free:
            return Maintained(skipped=True)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            # The setting is for this connection, which leaves the pool.
            connection.detach()
            connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
            left = _indexes(connection, leftovers=False)
            done.seconds = dict.fromkeys((index.table for index in left), 0.0)
            if dry_run:
                return done
            for _ in range(TRIES):
                drop_leftovers(connection)
                left = [index for index in left if not _rebuilt(connection, index, done)]
            in_use = [index.name for index in left] + drop_leftovers(connection)
    if in_use:
        raise OperationError(
            Kind.IN_USE,
            f"a transaction uses the tables of these indexes: {', '.join(in_use)}",
            "see template-service db long-queries and db locks, and run template-service "
            "maintenance reindex again after it ends",
        )
    return done


def drop_leftovers(connection: Connection) -> list[str]:
    """Drop invalid indexes of failed runs; return the names of those in use."""
    return [
        index.name
        for index in _indexes(connection, leftovers=True)
        if not _done(connection, f"DROP INDEX CONCURRENTLY IF EXISTS {index.name}")
    ]


def _indexes(connection: Connection, *, leftovers: bool) -> list[_Index]:
    indexes = [_Index(*row) for row in connection.execute(_INDEXES, {"tables": list(EVERY_TABLE)})]
    return [index for index in indexes if index.is_leftover == leftovers]


def _rebuilt(connection: Connection, index: _Index, done: Maintained) -> bool:
    start = monotonic()
    rebuilt = _done(connection, f"REINDEX INDEX CONCURRENTLY {index.name}")
    done.seconds[index.table] = round(done.seconds[index.table] + monotonic() - start, 3)
    return rebuilt


def _done(connection: Connection, statement: str) -> bool:
    """Run a statement; return False after a lock timeout or a deadlock."""
    try:
        connection.execute(text(statement))
    except OperationalError as error:
        if not isinstance(error.orig, LockNotAvailable | DeadlockDetected):
            raise
        return False
    return True
