"""Checks of tables, indexes and sequences."""

from collections.abc import Iterator

from sqlalchemy import inspect, text

from db import migrations
from db.maintenance import EVERY_TABLE
from db.monitoring.checks.finding import Finding, Patient
from db.units import counted, size


def revision(patient: Patient) -> Iterator[Finding]:
    """Check that the tables are those of this checkout's migrations."""
    connection = patient.reader.connection
    found = None
    if inspect(connection).has_table("alembic_version"):
        found = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if found == patient.expected.revision:
        return
    if found is not None and not migrations.is_known(str(found)):
        yield Finding(
            "revision",
            "notice",
            f"the database is at revision {found}, which this checkout does not know",
            "a newer service has migrated it; this one should be replaced",
            "install the newest version of this service",
        )
        return
    yield Finding(
        "revision",
        "error",
        f"the database is at {'no revision' if found is None else f'revision {found}'}, this "
        f"service needs {patient.expected.revision}",
        "workers do not start",
        "alembic upgrade head",
    )


def invalid_indexes(patient: Patient) -> Iterator[Finding]:
    """Check that no failed build has left an index behind."""
    for index in patient.reader.rows("invalid_indexes"):
        yield Finding(
            "invalid_index",
            "warning",
            f"index {index['index']} of {index['table']} is invalid",
            "a failed CREATE INDEX or REINDEX CONCURRENTLY left it; every write keeps it up, and "
            "no search uses it",
            f"template-service maintenance reindex (or: {index['remedy']};)",
        )


def foreign_keys(patient: Patient) -> Iterator[Finding]:
    """Check that what a cascading delete looks for is found by an index."""
    for key in patient.reader.rows("foreign_keys"):
        yield Finding(
            "foreign_key_without_index",
            "warning",
            f"no index of {key['table']} begins with {key['columns']}, which refers to "
            f"{key['refers_to']}",
            "each row deleted there has this whole table read, with its locks held",
            f"{key['remedy']};",
        )


def unused_indexes(patient: Patient) -> Iterator[Finding]:
    """Check that no large index is kept up for nothing."""
    found = patient.reader.rows("unused_indexes", bytes=patient.limits.unused_index_bytes)
    for index in found:
        yield Finding(
            "unused_index",
            "notice",
            f"index {index['index']} of {index['table']} takes {size(index['bytes'])} and was not "
            f"searched since {index['since'] or 'the server was made'}",
            "each write keeps it up; a standby or a rare report may still need it",
            f'DROP INDEX CONCURRENTLY "{index["schema"]}"."{index["index"]}";',
        )


def table_vacuum(patient: Patient) -> Iterator[Finding]:
    """Check that autovacuum is on for each table and keeps up with it."""
    for table in patient.reader.rows("autovacuum"):
        name = table["table"]
        if not table["enabled"]:
            yield Finding(
                "table_autovacuum",
                "warning",
                f"autovacuum is switched off for {name}",
                "the table grows without end and its plans grow old",
                f'ALTER TABLE "{table["schema"]}"."{name}" RESET (autovacuum_enabled);',
            )
        most = max(table["threshold"] * patient.limits.dead_factor, patient.limits.dead_rows)
        if table["dead"] > most:
            yield Finding(
                "dead_rows",
                "warning",
                f"{name} has {counted(table['dead'], 'dead row')} and {table['live']} live ones; "
                f"autovacuum is due at {table['threshold']}",
                "every search reads past them; an old transaction or slot may keep them from "
                "being cleared",
                "template-service maintenance vacuum"
                if name in EVERY_TABLE
                else f'VACUUM (ANALYZE) "{table["schema"]}"."{name}";',
            )


def statistics(patient: Patient) -> Iterator[Finding]:
    """Check that the planner knows what is in the tables, also after a restore or an upgrade."""
    for table in patient.reader.rows("never_analyzed", rows=patient.limits.unknown_rows):
        yield Finding(
            "never_analyzed",
            "warning",
            f"{table['table']} has {table['live']} rows and was never analysed",
            "the planner guesses, and may read the whole table for one row",
            "template-service maintenance analyze"
            if table["table"] in EVERY_TABLE
            else f'ANALYZE "{table["schema"]}"."{table["table"]}";',
        )


def sequences(patient: Patient) -> Iterator[Finding]:
    """Check that no sequence is about to run out."""
    for row in patient.reader.rows("sequences", percent=patient.limits.sequence_percent):
        yield Finding(
            "sequence",
            "warning",
            f"sequence {row['sequence']} has used {row['used_percent']} % of its numbers",
            "inserts fail when it has none left",
            f'ALTER SEQUENCE "{row["schema"]}"."{row["sequence"]}" AS bigint MAXVALUE '
            "9223372036854775807; (and its column to bigint)",
        )


def wraparound(patient: Patient) -> Iterator[Finding]:
    """Check that old rows are frozen long before transaction ids come round again."""
    oldest = patient.reader.row("wraparound")
    reached = max(oldest["xid_age"], oldest["multixact_age"])
    if reached > min(patient.limits.xid_age, 2 * oldest["freeze_at"]):
        yield Finding(
            "wraparound",
            "error",
            f"database {oldest['database']} has rows that were not frozen for {reached} "
            "transactions",
            "PostgreSQL refuses all writes at about 2,144,000,000",
            f"end what holds it back (template-service db long-queries), then: vacuumdb --freeze "
            f"--dbname={oldest['database']}",
        )


def cache(patient: Patient) -> Iterator[Finding]:
    """Check that most of what is read is in memory."""
    row = patient.reader.row("cache")
    looked_at = row["hit"] + row["read"]
    if looked_at < patient.limits.cache_blocks or looked_at == 0:
        return
    ratio = row["hit"] / looked_at
    if ratio < patient.limits.cache_ratio:
        yield Finding(
            "cache",
            "notice",
            f"{ratio:.1%} of all blocks were found in PostgreSQL's memory",
            "the rest was asked of the system, which is slower even when it had them",
            "ALTER SYSTEM SET shared_buffers = '1GB'; (a quarter of the memory; needs a restart)",
        )
