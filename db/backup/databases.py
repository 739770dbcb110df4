"""Databases beside the one that is used: made like it, dressed like it, put in its place."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

import psycopg
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow, dict_row

from db.errors import OperationError
from db.session import libpq_url

NAME_BYTES: Final = 63  # of an identifier: PostgreSQL, section 4.1.1
_ADMIN: Final = ("postgres", "template1")
_OPTIONS: Final[dict[str, Any]] = {"connect_timeout": 10, "options": "-c statement_timeout=0"}
_LIKE: Final = """
SELECT pg_encoding_to_char(d.encoding) AS encoding, d.datcollate, d.datctype,
       d.datlocprovider AS provider, t.spcname AS tablespace,
       COALESCE(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') AS locale
FROM pg_database AS d
JOIN pg_tablespace AS t ON t.oid = d.dattablespace
WHERE d.datname = %s
"""
_OBJECTS: Final = """
SELECT count(*)
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^(pg_|information_schema$)'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS e
        WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e'
    )
"""
_PROVIDERS: Final = {"c": "libc", "i": "icu", "b": "builtin"}


def at(url: str, database: str) -> str:
    """Return how to connect to another database of the same server, for libpq."""
    return make_conninfo(libpq_url(url), dbname=database)


def named(url: str) -> str:
    """Return the name of the database that a URL leads to."""
    given = conninfo_to_dict(libpq_url(url))
    return str(given.get("dbname") or given.get("user") or "postgres")


@contextmanager
def administering(url: str) -> Iterator[psycopg.Connection[DictRow]]:
    """Yield a connection to a database of the same server that nobody needs, autocommitting.

    Raises
    ------
    OperationError
        ``server_away``, ``password_refused`` or ``permission_denied``.
    """
    problem: psycopg.Error | None = None
    for database in _ADMIN:
        try:
            connection = psycopg.connect(
                at(url, database), autocommit=True, row_factory=dict_row, **_OPTIONS
            )
        except psycopg.OperationalError as error:
            problem = error
            continue
        with connection:
            yield connection
        return
    raise connection_refused(problem) from None


def connected(conninfo: str) -> psycopg.Connection:
    """Return a connection that commits each statement by itself, without a time limit."""
    return psycopg.connect(conninfo, autocommit=True, **_OPTIONS)


def connection_refused(error: psycopg.Error | None) -> OperationError:
    """Return what an operator reads when a connection was refused."""
    told = str(error).strip().splitlines()[0] if error is not None else "no connection"
    if "password authentication failed" in told or "no password supplied" in told:
        remedy = (
            "check user and password in DATABASE_URL or TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL"
        )
        return OperationError("password_refused", told, remedy)
    if "permission denied" in told:
        return OperationError("permission_denied", told, "let the role connect to it")
    return OperationError(
        "server_away", told, "check that PostgreSQL runs and DATABASE_URL is right"
    )


def exists(admin: psycopg.Connection[DictRow], database: str) -> bool:
    """Tell whether the server has a database of that name."""
    found = admin.execute("SELECT FROM pg_database WHERE datname = %s", [database])
    return found.fetchone() is not None


def beside(admin: psycopg.Connection[DictRow], database: str, word: str) -> str:
    """Return a name that no database has: ``shop_restored_20260131_120000``, in UTC."""
    suffix = f"_{word}_{datetime.now(UTC):%Y%m%d_%H%M%S}"
    for number in count(1):
        ending = suffix if number == 1 else f"{suffix}_{number}"
        kept = database.encode()[: NAME_BYTES - len(ending)].decode(errors="ignore")
        if not exists(admin, kept + ending):
            return kept + ending
    raise AssertionError("numbers do not end")


def is_empty(conninfo: str) -> bool:
    """Tell whether a database holds no table, view or sequence but those of extensions."""
    with connected(conninfo) as connection:
        row = connection.execute(_OBJECTS).fetchone()
    return row == (0,)


def create(admin: psycopg.Connection[DictRow], database: str, model: str | None) -> None:
    """Make an empty database, with encoding, locale and tablespace of ``model`` if there is one.

    Raises
    ------
    OperationError
        ``permission_denied``: the role may not create databases.
    """
    like = admin.execute(_LIKE, [model]).fetchone() if model is not None else None
    parts: list[sql.Composable] = [
        sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(database))
    ]
    if like is not None:
        provider = _PROVIDERS[like["provider"]]
        for name, value in (
            ("ENCODING", like["encoding"]),
            ("LC_COLLATE", like["datcollate"]),
            ("LC_CTYPE", like["datctype"]),
            ("LOCALE_PROVIDER", provider),
            (f"{provider.upper()}_LOCALE", like["locale"] if provider != "libc" else None),
        ):
            if value is not None:
                parts.append(sql.SQL(f" {name} ") + sql.Literal(value))
        parts.append(sql.SQL(" TABLESPACE ") + sql.Identifier(like["tablespace"]))
    try:
        admin.execute(sql.Composed(parts))
    except errors.InsufficientPrivilege:
        raise OperationError(
            "permission_denied",
            "the role may not create a database, which a restore needs",
            "ALTER ROLE ... CREATEDB, or name another in TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL",
        ) from None


def drop(admin: psycopg.Connection[DictRow], database: str) -> None:
    """Drop a database, whoever is connected to it."""
    name = sql.Identifier(database)
    admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))


def rename(admin: psycopg.Connection[DictRow], old: str, new: str) -> None:
    """Give a database that nobody uses another name."""
    names = sql.Identifier(old), sql.Identifier(new)
    admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*names))
