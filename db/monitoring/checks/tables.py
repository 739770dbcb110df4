"""Checks of tables, indexes and sequences."""

from collections.abc import Iterator

from sqlalchemy import inspect, text

from db import migrations
from db.maintenance import EVERY_TABLE
from db.monitoring.checks.finding import CheckContext, Finding
from db.printed import database_option, identifier
from db.units import counted, size


def revision(context: CheckContext) -> Iterator[Finding]:
    """Check that the database is at the newest migration of this checkout."""
    connection = context.reader.connection
    current = None
    if inspect(connection).has_table("alembic_version"):
        current = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if current == context.expected.revision:
        return
    if current is not None and not migrations.is_known(str(current)):
        yield Finding(
            "revision",
            "notice",
            f"the database is at revision {current}, which this checkout does not have",
            "a newer release has migrated it; this one should be upgraded",
            "install the newest version of this service",
        )
        return
    yield Finding(
        "revision",
        "error",
        f"the database is at {'no revision' if current is None else f'revision {current}'}, this "
        f"service needs {context.expected.revision}",
        "workers do not start",
        "alembic upgrade head",
    )


def invalid_indexes(context: CheckContext) -> Iterator[Finding]:
    """Check that no failed build left an invalid index."""
    for index in context.reader.rows("invalid_indexes"):
        yield Finding(
            "invalid_index",
            "warning",
            f"index {index['index']} of {index['table']} is invalid",
            "a failed CREATE INDEX or REINDEX CONCURRENTLY left it; every write updates it, and no "
            "query uses it",
            f"template-service maintenance reindex (or: {index['remedy']};)",
        )


def foreign_keys(context: CheckContext) -> Iterator[Finding]:
    """Check that foreign keys have an index for cascading deletes."""
    for key in context.reader.rows("foreign_keys"):
        yield Finding(
            "foreign_key_without_index",
            "warning",
            f"no index of {key['table']} begins with {key['columns']}, which refers to "
            f"{key['refers_to']}",
            "each row deleted there scans this whole table, with locks held",
            f"{key['remedy']};",
        )


def unused_indexes(context: CheckContext) -> Iterator[Finding]:
    """Check that no large index is unused."""
    indexes = context.reader.rows("unused_indexes", bytes=context.limits.unused_index_bytes)
    for index in indexes:
        yield Finding(
            "unused_index",
            "notice",
            f"index {index['index']} of {index['table']} has {size(index['bytes'])} and has not "
            f"been used since {index['since'] or 'the server was created'}",
            "each write updates it; a standby or a rare report may still need it",
            f"DROP INDEX CONCURRENTLY {identifier(index['schema'], index['index'])};",
        )


def table_vacuum(context: CheckContext) -> Iterator[Finding]:
    """Check that autovacuum is on for each table and keeps up with it."""
    for table in context.reader.rows("autovacuum"):
        name = table["table"]
        if not table["enabled"]:
            yield Finding(
                "table_autovacuum",
                "warning",
                f"autovacuum is switched off for {name}",
                "the table bloats, and its statistics become stale",
                f"ALTER TABLE {identifier(table['schema'], name)} RESET (autovacuum_enabled);",
            )
        most = max(table["threshold"] * context.limits.dead_factor, context.limits.dead_rows)
        if table["dead"] > most:
            yield Finding(
                "dead_rows",
                "warning",
                f"{name} has {counted(table['dead'], 'dead row')} and {table['live']} live ones; "
                f"autovacuum's threshold is {table['threshold']}",
                "queries read them; an old transaction or slot may prevent their removal",
                "template-service maintenance vacuum"
                if name in EVERY_TABLE
                else f"VACUUM (ANALYZE) {identifier(table['schema'], name)};",
            )


def statistics(context: CheckContext) -> Iterator[Finding]:
    """Check that the planner has statistics, also after a restore or an upgrade."""
    for table in context.reader.rows("never_analyzed", rows=context.limits.unknown_rows):
        yield Finding(
            "never_analyzed",
            "warning",
            f"{table['table']} has {table['live']} rows and was never analyzed",
            "the planner guesses, and may scan the whole table for one row",
            "template-service maintenance analyze"
            if table["table"] in EVERY_TABLE
            else f"ANALYZE {identifier(table['schema'], table['table'])};",
        )


def sequences(context: CheckContext) -> Iterator[Finding]:
    """Check that no sequence is about to run out."""
    for row in context.reader.rows("sequences", percent=context.limits.sequence_percent):
        yield Finding(
            "sequence",
            "warning",
            f"sequence {row['sequence']} has used {row['used_percent']} % of its numbers",
            "inserts fail when it has none left",
            f"ALTER SEQUENCE {identifier(row['schema'], row['sequence'])} AS bigint MAXVALUE "
            "9223372036854775807; (and its column to bigint)",
        )


def wraparound(context: CheckContext) -> Iterator[Finding]:
    """Check that old rows are frozen long before transaction ID wraparound."""
    oldest = context.reader.row("wraparound")
    reached = max(oldest["xid_age"], oldest["multixact_age"])
    if reached > min(context.limits.xid_age, 2 * oldest["freeze_at"]):
        yield Finding(
            "wraparound",
            "error",
            f"database {oldest['database']} has rows that were not frozen for {reached} "
            "transactions",
            "PostgreSQL refuses all writes at about 2,144,000,000",
            "end long transactions (template-service db long-queries), then: vacuumdb --freeze "
            f"--dbname={database_option(oldest['database'])}",
        )


def cache(context: CheckContext) -> Iterator[Finding]:
    """Check that most blocks are read from memory."""
    row = context.reader.row("cache")
    blocks = row["hit"] + row["read"]
    if blocks < context.limits.cache_blocks or blocks == 0:
        return
    ratio = row["hit"] / blocks
    if ratio < context.limits.cache_ratio:
        yield Finding(
            "cache",
            "notice",
            f"{ratio:.1%} of all blocks were in shared_buffers",
            "the rest was read from the system, which is slower even if it has them cached",
            "ALTER SYSTEM SET shared_buffers = '1GB'; (a quarter of the memory; needs a restart)",
        )
