"""What tables hold, as a count and a digest, to compare a restore with what was dumped."""

from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from db.backup.catalogue import TableFacts

SCHEMA: Final = "public"
EMPTY: Final = TableFacts(rows=0, digest="0")

# Under these every row has one form as text, whatever server, role or database it is read from:
# https://www.postgresql.org/docs/current/runtime-config-client.html#RUNTIME-CONFIG-CLIENT-FORMAT.
_FORMS: Final = """
SELECT set_config('DateStyle', 'ISO, YMD', false), set_config('IntervalStyle', 'postgres', false),
       set_config('TimeZone', 'UTC', false), set_config('bytea_output', 'hex', false),
       set_config('extra_float_digits', '1', false), set_config('search_path', 'pg_catalog', false)
"""
_TABLES: Final = """
SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind = 'r'
ORDER BY c.relname
"""
# The sum does not depend on the order of the rows, and a row that is there twice counts twice,
# which XOR would not see.
_FACTS: Final = sql.SQL("""
SELECT count(*), coalesce(sum(('x' || left(md5("the row"::text), 16))::bit(64)::bigint), 0)::text
FROM ONLY {} AS "the row"
""")


def table_names(connection: psycopg.Connection[Any]) -> list[str]:
    """Return the tables of schema ``public``, in the order of their names."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        return [name for (name,) in cursor.execute(_TABLES, [SCHEMA])]


def table_facts(connection: psycopg.Connection[Any], table: str) -> TableFacts:
    """Return how many rows a table has, and the digest of them.

    The digest is the sum, over all rows, of 64 bits of the MD5 of the row as text: the same for the
    same rows in any order. One statement, which reads the table once.

    Parameters
    ----------
    connection
        Its settings of how values look are changed for good, and its search path.
    table
        Of schema ``public``.
    """
    with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(_FORMS)
        ((rows, digest),) = cursor.execute(_FACTS.format(sql.Identifier(SCHEMA, table)))
    return TableFacts(rows=rows, digest=digest)


def revision(connection: psycopg.Connection[Any]) -> str | None:
    """Return the migration that the database is at, ``None`` when Alembic never ran."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        ((found,),) = cursor.execute("SELECT to_regclass('public.alembic_version')")
        if found is None:
            return None
        row = cursor.execute("SELECT version_num FROM public.alembic_version").fetchone()
    return None if row is None else str(row[0])
