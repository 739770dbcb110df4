"""One database in the place of another: dressed like it first, then renamed with it."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final

import psycopg
from psycopg import errors, sql
from psycopg.rows import DictRow

from db.backup.databases import administering, rename
from db.errors import OperationError

_TRIES_EVERY: Final = 0.1  # seconds
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


def dress(admin: psycopg.Connection[DictRow], database: str, model: str) -> None:
    """Give a database what a dump of ``model`` does not hold: owner, grants, settings, comment.

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
        # regrole quotes where it has to, so this is an identifier already.
        owner = sql.SQL(like["owner"])
        admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, owner))


def swap(url: str, live: str, new: str, aside: str) -> None:
    """Rename ``live`` to ``aside`` and ``new`` to ``live``, both or neither.

    Sessions of both are ended. Those that come meanwhile wait for the lock that a rename takes, and
    then find the new database under the old name.

    Raises
    ------
    OperationError
        ``database_in_use``: a session could not be ended; ``permission_denied``.
    """
    with (
        administering(url) as admin,
        administering(url) as other,
        ThreadPoolExecutor(max_workers=1) as threads,
    ):
        renamed = threads.submit(_rename_both, admin, live, new, aside)
        while True:
            # What it may not end, the rename tells of.
            with suppress(errors.InsufficientPrivilege):
                other.execute(_TERMINATE, [[live, new]])
            try:
                return renamed.result(timeout=_TRIES_EVERY)
            except TimeoutError:
                continue
            except errors.ObjectInUse:
                raise OperationError(
                    "database_in_use",
                    f"sessions of database {live} could not be ended",
                    "stop the workers, or use a role that may end them (pg_signal_backend)",
                ) from None
            except errors.InsufficientPrivilege:
                raise OperationError(
                    "permission_denied",
                    f"the role may not rename database {live}",
                    "set TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL to the owner, with CREATEDB",
                ) from None


def _rename_both(admin: psycopg.Connection[DictRow], live: str, new: str, aside: str) -> None:
    with admin.transaction():
        rename(admin, live, aside)
        rename(admin, new, live)


def _set(
    admin: psycopg.Connection[DictRow], database: sql.Identifier, setting: dict[str, Any]
) -> None:
    # FROM CURRENT stores the value as it is; as a literal a list such as search_path would become
    # one name.
    admin.execute("SELECT set_config(%(name)s, %(value)s, true)", setting)
    whose = sql.SQL("ALTER DATABASE {}").format(database)
    if setting["role"] is not None:
        role = sql.Identifier(setting["role"])
        whose = sql.SQL("ALTER ROLE {} IN DATABASE {}").format(role, database)
    name = sql.Identifier(*setting["name"].split("."))
    admin.execute(sql.SQL("{} SET {} FROM CURRENT").format(whose, name))


def _grant(
    admin: psycopg.Connection[DictRow], database: sql.Identifier, grant: dict[str, Any]
) -> None:
    role = sql.SQL("PUBLIC") if grant["role"] is None else sql.Identifier(grant["role"])
    option = sql.SQL(" WITH GRANT OPTION" if grant["grantable"] else "")
    privilege = sql.SQL(grant["privilege"])
    admin.execute(
        sql.SQL("GRANT {} ON DATABASE {} TO {}").format(privilege, database, role) + option
    )
