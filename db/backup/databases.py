"""Create, drop, rename and swap databases of a server."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

import psycopg
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow, dict_row

from db.addresses import CLIENT_ENCODING, FORMATS, libpq_url
from db.backup.roles import setting_values
from db.errors import Kind, OperationError
from db.postgres_errors import connection_error

NAME_BYTES: Final = 63  # of an identifier: PostgreSQL, section 4.1.1
_MAINTENANCE: Final = ("postgres", "template1")
_TRIES_EVERY: Final = 0.1  # seconds
_OPTIONS: Final[dict[str, Any]] = {
    "connect_timeout": 10,
    "client_encoding": CLIENT_ENCODING,
    "options": FORMATS,
}
# As pg_dump does: sessions take as long as a dump, and are idle meanwhile. Not all of these are
# settings of all versions.
_NO_TIMEOUTS: Final = """
SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings
WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout',
               'idle_session_timeout', 'transaction_timeout')
"""
_CREATED_LIKE: Final = """
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
_LIKE: Final = """
SELECT d.datdba::regrole::text AS owner, d.datconnlimit AS connection_limit,
       d.datacl IS NOT NULL AS has_grants, shobj_description(d.oid, 'pg_database') AS comment
FROM pg_database AS d
WHERE d.datname = %s
"""
_SETTINGS: Final = """
SELECT CASE s.setrole WHEN 0 THEN NULL ELSE pg_get_userbyid(s.setrole) END AS role,
       split_part(c.setting, '=', 1) AS name,
       substr(c.setting, strpos(c.setting, '=') + 1) AS value
FROM pg_db_role_setting AS s
JOIN pg_database AS d ON d.oid = s.setdatabase
CROSS JOIN unnest(s.setconfig) AS c(setting)
WHERE d.datname = %s
"""
_GRANTS: Final = """
SELECT CASE a.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END AS role,
       a.privilege_type AS privilege, a.is_grantable AS grantable
FROM pg_database AS d
CROSS JOIN aclexplode(d.datacl) AS a
WHERE d.datname = %s
"""
_TERMINATE: Final = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = ANY(%s) AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
_PROVIDERS: Final = {"c": "libc", "i": "icu", "b": "builtin"}


def at(url: str, database: str) -> str:
    """Return the connection string of another database of the same server, for libpq."""
    return make_conninfo(libpq_url(url), dbname=database)


def named(url: str) -> str:
    """Return the name of the database in a URL."""
    given = conninfo_to_dict(libpq_url(url))
    return str(given.get("dbname") or given.get("user") or "postgres")


@contextmanager
def administering(url: str) -> Iterator[psycopg.Connection[DictRow]]:
    """Yield a connection to a maintenance database, in autocommit mode and without timeouts.

    Raises OperationError: see :func:`db.postgres_errors.connection_error`.
    """
    problem = psycopg.OperationalError("no maintenance database")
    for database in _MAINTENANCE:
        try:
            connection = psycopg.connect(
                at(url, database), autocommit=True, row_factory=dict_row, **_OPTIONS
            )
        except psycopg.OperationalError as error:
            problem = error
            continue
        with connection:
            remove_timeouts(connection)
            yield connection
        return
    raise connection_error(problem, "the server") from None


def connected(conninfo: str) -> psycopg.Connection:
    """Return a connection in autocommit mode, without timeouts."""
    connection = psycopg.connect(conninfo, autocommit=True, **_OPTIONS)
    remove_timeouts(connection)
    return connection


def remove_timeouts(connection: psycopg.Connection[Any]) -> None:
    """Remove the timeouts that server, database or role have set for a session."""
    connection.execute(_NO_TIMEOUTS)


def exists(admin: psycopg.Connection[DictRow], database: str) -> bool:
    """Return whether a database exists."""
    found = admin.execute("SELECT FROM pg_database WHERE datname = %s", [database])
    return found.fetchone() is not None


def unused_name(admin: psycopg.Connection[DictRow], database: str, word: str) -> str:
    """Return a name that no database has: ``shop_restored_20260131_120000``, in UTC."""
    base = f"_{word}_{datetime.now(UTC):%Y%m%d_%H%M%S}"
    for number in count(1):
        suffix = base if number == 1 else f"{base}_{number}"
        prefix = database.encode()[: NAME_BYTES - len(suffix)].decode(errors="ignore")
        if not exists(admin, prefix + suffix):
            return prefix + suffix
    raise AssertionError("numbers do not end")


def is_empty(conninfo: str) -> bool:
    """Return whether a database has no tables, views or sequences outside its extensions."""
    with connected(conninfo) as connection:
        row = connection.execute(_OBJECTS).fetchone()
    return row == (0,)


def create(admin: psycopg.Connection[DictRow], database: str, model: str | None) -> None:
    """Create an empty database, with encoding, locale and tablespace of ``model`` if it exists.

    Raises OperationError: ``permission_denied``: the role may not create databases.
    """
    like = admin.execute(_CREATED_LIKE, [model]).fetchone() if model is not None else None
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
        raise may_not_create() from None


def drop(admin: psycopg.Connection[DictRow], database: str) -> None:
    """Drop a database and terminate its sessions."""
    name = sql.Identifier(database)
    admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))


def rename(admin: psycopg.Connection[DictRow], old: str, new: str) -> None:
    """Rename a database without sessions."""
    names = sql.Identifier(old), sql.Identifier(new)
    admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*names))


def copy_properties(admin: psycopg.Connection[DictRow], database: str, model: str) -> None:
    """Copy owner, grants, settings and comment of the database ``model``.

    https://www.postgresql.org/docs/current/app-pgdump.html: only ``--create`` dumps those.
    """
    like = admin.execute(_LIKE, [model]).fetchone()
    if like is None:
        return
    name = sql.Identifier(database)
    with admin.transaction():
        limit = sql.Literal(like["connection_limit"])
        admin.execute(sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(name, limit))
        if like["comment"] is not None:
            comment = sql.Literal(like["comment"])
            admin.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(name, comment))
        for setting in admin.execute(_SETTINGS, [model]).fetchall():
            _set(admin, name, setting)
        if like["has_grants"]:
            admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
            for grant in admin.execute(_GRANTS, [model]).fetchall():
                _grant(admin, name, grant)
        # regrole has quoted it where necessary.
        owner = sql.SQL(like["owner"])
        admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, owner))


def swap(url: str, live: str, new: str, aside: str) -> None:
    """Rename ``live`` to ``aside`` and ``new`` to ``live``, in one transaction.

    Sessions of both are terminated. New connections wait for the lock of the rename, and then find
    the new database under the old name.

    Raises OperationError: ``database_in_use``: a session could not be terminated;
    ``permission_denied``.
    """
    with (
        administering(url) as admin,
        administering(url) as other,
        ThreadPoolExecutor(max_workers=1) as threads,
    ):
        renamed = threads.submit(_rename_both, admin, live, new, aside)
        while True:
            # The rename reports sessions that this role may not terminate.
            with suppress(errors.InsufficientPrivilege):
                other.execute(_TERMINATE, [[live, new]])
            try:
                return renamed.result(timeout=_TRIES_EVERY)
            except TimeoutError:
                continue
            except errors.ObjectInUse as error:
                # Other than the client backends: a prepared transaction, or a background worker.
                raise OperationError(
                    Kind.DATABASE_IN_USE,
                    f"sessions of database {live} could not be terminated: "
                    f"{error.diag.message_detail}",
                    "stop the workers, or use a role that is a member of pg_signal_backend",
                ) from None
            except errors.InsufficientPrivilege:
                raise may_not_rename(live) from None


def may_not_create() -> OperationError:
    """Return the error of a role that lacks CREATEDB."""
    return OperationError(
        Kind.PERMISSION_DENIED,
        "the role may not create databases",
        "run ALTER ROLE ... CREATEDB, or set TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL to "
        "another role",
    )


def may_not_rename(database: str) -> OperationError:
    """Return the error of a role that does not own a database, or lacks CREATEDB."""
    return OperationError(
        Kind.PERMISSION_DENIED,
        f"the role may not rename database {database}",
        "set TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL to the owner, with CREATEDB",
    )


def _rename_both(admin: psycopg.Connection[DictRow], live: str, new: str, aside: str) -> None:
    with admin.transaction():
        rename(admin, live, aside)
        rename(admin, new, live)


def _set(
    admin: psycopg.Connection[DictRow], database: sql.Identifier, setting: dict[str, Any]
) -> None:
    owner = sql.SQL("ALTER DATABASE {}").format(database)
    if setting["role"] is not None:
        role = sql.Identifier(setting["role"])
        owner = sql.SQL("ALTER ROLE {} IN DATABASE {}").format(role, database)
    name = sql.Identifier(*setting["name"].split("."))
    # Not FROM CURRENT: the role, or a setting of new sessions alone, cannot be set in this one.
    values = sql.SQL(", ").join(map(sql.Literal, setting_values(setting["name"], setting["value"])))
    admin.execute(sql.SQL("{} SET {} TO {}").format(owner, name, values))


def _grant(
    admin: psycopg.Connection[DictRow], database: sql.Identifier, grant: dict[str, Any]
) -> None:
    role = sql.SQL("PUBLIC") if grant["role"] is None else sql.Identifier(grant["role"])
    option = sql.SQL(" WITH GRANT OPTION" if grant["grantable"] else "")
    privilege = sql.SQL(grant["privilege"])
    admin.execute(
        sql.SQL("GRANT {} ON DATABASE {} TO {}").format(privilege, database, role) + option
    )
