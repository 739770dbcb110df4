"""Merge the rows of one table of a backup into the live table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg import errors, sql

from db.addresses import CLIENT_ENCODING
from db.backup.create import create
from db.backup.databases import at, connected, named
from db.backup.policy import BackupPolicy
from db.backup.restore.preflight import check_merge
from db.backup.restore.replace_live import require_revision
from db.backup.restore.restore import (
    choose_backup,
    hooked,
    own_catalogue,
    require_new_enough,
    restored_draft,
)
from db.backup.snapshot import SCHEMA, encoding
from db.commands.core import Client
from db.errors import Kind, OperationError
from db.units import counted

# Renders continue meanwhile; a publish waits, or makes the merge give up.
LOCK_TIMEOUT: Final = "10s"
_STAGED: Final = sql.Identifier("pg_temp", "restored")
_COLUMNS: Final = """
SELECT a.attname
FROM pg_attribute AS a
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attnum
"""
# GENERATED ALWAYS AS IDENTITY: no UPDATE may set them, and they hardly ever differ.
_SETTABLE: Final = f"{_COLUMNS.partition('ORDER')[0]} AND a.attidentity <> 'a'"
# In binary form arrays and composites name their types by number, which differs between databases,
# as values of regclass and the like name objects; some types have no such form. As text a row has
# at most 1 GB.
_BINARY: Final = """
SELECT 'binary'
FROM pg_attribute AS a
JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_type AS e ON e.oid = t.typelem
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
HAVING bool_and(
    t.oid < 16384 AND t.typsend <> 0 AND t.typname !~ '^_?reg' AND (e.oid IS NULL OR e.typsend <> 0)
)
"""
# The live database may have formats of its own, and bytes that are not letters of any encoding.
_SAME_TEXT: Final = """
SELECT set_config('DateStyle', 'ISO, YMD', false), set_config('IntervalStyle', 'postgres', false),
       set_config('extra_float_digits', '1', false), set_config('client_encoding', %s, false)
"""
_KEY: Final = """
SELECT a.attname
FROM pg_index AS i
JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
WHERE i.indrelid = %s::regclass AND i.indisprimary
"""
_PARTLY_UNIQUE: Final = """
SELECT pg_get_expr(i.indpred, i.indrelid)
FROM pg_index AS i
WHERE i.indrelid = %s::regclass AND i.indisunique AND i.indpred IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class MergedTable:
    """Result of :func:`merge_table`.

    Attributes
    ----------
    name, table
        The backup, and the table.
    inserted, updated, unchanged
        Rows of the backup that were missing, different or equal in the live table.
    kept
        Rows that are only in the live table, which are kept.
    safety
        Name of the backup of the live database before the merge.
    """

    name: str
    table: str
    inserted: int
    updated: int
    unchanged: int
    kept: int
    safety: str


def merge_table(  # noqa: PLR0913 - options by name
    client: Client,
    policy: BackupPolicy,
    *,
    table: str,
    name: str | None = None,
    jobs: int | None = None,
    foreign: bool = False,
) -> MergedTable:
    """Insert or update the rows of a table from a backup, by primary key, all or none.

    Rights and space are checked first. The table is restored and compared in a new database. Then
    the live database is dumped, and the rows are merged in one transaction that locks out other
    writers of the table. See
    :func:`db.backup.restore.restore.restore` for the parameters.

    Raises OperationError: ``rows_conflict``: a row of the backup violates a constraint with live
    rows; ``rows_changed``: a trigger changes them; ``table_locked``; others. The live table
    is unchanged.
    """
    catalogue = own_catalogue(client, policy)
    entry = choose_backup(catalogue, name, table, foreign=foreign)
    require_new_enough(client.programs, entry)
    require_revision(client, entry, same=True)
    check_merge(client, policy, catalogue, entry, table)
    with (
        hooked(policy, entry, named(client.url)),
        restored_draft(client, policy, entry, table=table, jobs=jobs, with_roles=False) as draft,
        connected(at(client.url, draft.database)) as source,
        connected(at(client.url, named(client.url))) as live,
    ):
        safety = create(client, policy, purpose="safety")
        total, inserted, updated, now = _merge(source, live, table)
    return MergedTable(
        name=entry.name,
        table=table,
        inserted=inserted,
        updated=updated,
        unchanged=total - inserted - updated,
        kept=now - total,
        safety=safety.name,
    )


def _merge(
    source: psycopg.Connection, live: psycopg.Connection, table: str
) -> tuple[int, int, int, int]:
    """Return the numbers of rows in the backup, inserted, updated, and in the live table now."""
    whole = sql.Identifier(SCHEMA, table).as_string()
    columns = _names(live, _COLUMNS, whole)
    key = _names(live, _KEY, whole)
    if not key or columns != _names(source, _COLUMNS, whole):
        raise OperationError(
            Kind.SCHEMA_DIFFERS,
            f"table {table} has different columns in the backup, or no primary key",
            "restore it into another database, and copy the rows by hand",
        )
    try:
        with live.transaction():
            live.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(LOCK_TIMEOUT)))
            target = sql.Identifier(SCHEMA, table)
            live.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(target))
            total = _copy(source, live, whole, columns)
            updated = sum(
                live.execute(statement).rowcount for statement in _updates(live, whole, target, key)
            )
            inserted = live.execute(_insert(target, columns, key)).rowcount
            _require_equal(live, target, columns, key)
            now = live.execute(sql.SQL("SELECT count(*) FROM ONLY {}").format(target)).fetchone()
    except errors.IntegrityError as error:
        raise OperationError(
            "rows_conflict",
            f"rows of {table} in the backup violate the constraint {error.diag.constraint_name} "
            "with live rows",
            "restore it into another database, and copy the rows by hand; start with the tables "
            "that others refer to",
        ) from None
    except (errors.UndefinedTable, errors.UndefinedFunction, errors.UndefinedObject) as error:
        raise OperationError(
            "rows_conflict",
            f"rows of {table} in the backup name an object that the live database lacks: "
            f"{error.diag.message_primary}",
            "restore it into another database, and copy the rows by hand",
        ) from None
    except errors.LockNotAvailable:
        raise OperationError(
            "table_locked",
            f"another session held a lock on {table} for more than {LOCK_TIMEOUT}",
            "see template-service db locks, and retry",
        ) from None
    return total, inserted, updated, now[0] if now is not None else 0


def _names(connection: psycopg.Connection, query: str, table: str) -> list[str]:
    return [name for (name,) in connection.execute(query.encode(), [table])]


def _copy(
    source: psycopg.Connection,
    live: psycopg.Connection,
    whole: str,
    columns: Sequence[str],
) -> int:
    """Copy the restored rows to a temporary table; return their number."""
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    target, form = sql.SQL(whole), sql.SQL(next(iter(_names(live, _BINARY, whole)), "text"))
    live.execute(
        sql.SQL(
            "CREATE TEMPORARY TABLE restored ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA"
        ).format(names, target)
    )
    out = sql.SQL("COPY {} ({}) TO STDOUT (FORMAT {})").format(target, names, form)
    back = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT {})").format(_STAGED, names, form)
    for connection in (source, live):
        connection.execute(_SAME_TEXT, [encoding(live)])
    # Names of objects with their schemas, which any search path finds.
    source.execute("SELECT set_config('search_path', 'pg_catalog', false)")
    with source.cursor() as reading, live.cursor() as writing:
        with reading.copy(out) as rows, writing.copy(back) as staged:
            for block in rows:
                staged.write(block)
        live.execute(_SAME_TEXT, [CLIENT_ENCODING])
        live.execute(sql.SQL("ANALYZE {}").format(_STAGED))
        return writing.rowcount


def _updates(
    live: psycopg.Connection,
    whole: str,
    target: sql.Identifier,
    key: Sequence[str],
) -> list[sql.Composed]:
    """Return statements that update the rows that differ.

    Uniqueness is checked row by row. Rows that leave a partial unique index, such as the one of
    current versions, are therefore updated first.
    """
    settable = _names(live, _SETTABLE, whole)
    if not settable:
        return []
    update = sql.SQL(
        "UPDATE ONLY {target} AS t SET ({names}) = ROW({new}) FROM {staged} AS b"
        " WHERE {same} AND ({differ})"
    ).format(
        target=target,
        staged=_STAGED,
        names=sql.SQL(", ").join(map(sql.Identifier, settable)),
        differ=_differ(settable),
        new=_of("b", settable),
        same=_same(key),
    )
    predicates = _names(live, _PARTLY_UNIQUE, whole)
    if not predicates:
        return [update]
    outside = sql.SQL(" AND ").join(
        sql.SQL("({}) IS NOT TRUE").format(sql.SQL(predicate)) for predicate in predicates
    )
    keys = sql.SQL(", ").join(map(sql.Identifier, key))
    leaving = sql.SQL(" AND ({}) IN (SELECT {} FROM {} WHERE {})").format(
        _of("t", key), keys, _STAGED, outside
    )
    return [update + leaving, update]


def _require_equal(
    live: psycopg.Connection, target: sql.Identifier, columns: Sequence[str], key: Sequence[str]
) -> None:
    """Check that the table has each row of the backup (raises ``rows_changed``)."""
    changed = sql.SQL(
        "SELECT count(*) FROM {} AS b WHERE NOT EXISTS"
        " (SELECT FROM ONLY {} AS t WHERE {} AND NOT ({}))"
    ).format(_STAGED, target, _same(key), _differ(columns))
    row = live.execute(changed).fetchone()
    if row is not None and row[0]:
        table = target.as_string()
        raise OperationError(
            "rows_changed",
            f"a trigger, rule or policy of table {table} changes {counted(row[0], 'row')} of "
            "the backup",
            f"run ALTER TABLE {table} DISABLE TRIGGER USER, retry, and enable them again; or "
            "restore it into another database, and copy the rows by hand",
        )


def _differ(columns: Sequence[str]) -> sql.Composed:
    # As text: json has no equality operator. By column: the text of a row may exceed 1 GB.
    return sql.SQL(" OR ").join(
        sql.SQL("{}::text IS DISTINCT FROM {}::text").format(
            sql.Identifier("t", column), sql.Identifier("b", column)
        )
        for column in columns
    )


def _insert(target: sql.Identifier, columns: Sequence[str], key: Sequence[str]) -> sql.Composed:
    return sql.SQL(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} AS b"
        " WHERE NOT EXISTS (SELECT FROM ONLY {} AS t WHERE {})"
    ).format(
        target,
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        _of("b", columns),
        _STAGED,
        target,
        _same(key),
    )


def _of(alias: str, names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(alias, name) for name in names)


def _same(key: Sequence[str]) -> sql.Composed:
    return sql.SQL(" AND ").join(
        sql.SQL("t.{0} = b.{0}").format(sql.Identifier(column)) for column in key
    )
