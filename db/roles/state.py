"""State of the server: roles, memberships, tables and their owners."""

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

from db.errors import OperationError
from db.roles.names import Names, mark

_ABOUT = """
SELECT current_setting('server_version_num')::int / 10000, current_user, current_database(),
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
"""
_ROLES = """
SELECT rolname, shobj_description(oid, 'pg_authid'), rolpassword IS NOT NULL
FROM pg_authid
WHERE rolname = ANY(%s)
"""
_MEMBERSHIPS = """
SELECT granted.rolname, member.rolname, grantor.rolname
FROM pg_auth_members AS m
JOIN pg_roles AS granted ON granted.oid = m.roleid
JOIN pg_roles AS member ON member.oid = m.member
JOIN pg_roles AS grantor ON grantor.oid = m.grantor
WHERE member.rolname = ANY(%s)
"""
# Without objects of extensions and sequences owned by a table.
_RELATIONS = """
SELECT c.relname, c.relkind::text, owner.rolname, owner.rolsuper
FROM pg_class AS c
JOIN pg_roles AS owner ON owner.oid = c.relowner
WHERE c.relnamespace = 'public'::regnamespace
    AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
    AND NOT EXISTS (
        SELECT FROM pg_depend AS d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
            AND (d.deptype = 'e' OR (c.relkind = 'S' AND d.deptype IN ('a', 'i')))
    )
ORDER BY c.relname
"""
_OPEN_DATABASES = """
SELECT datname FROM pg_database
WHERE datallowconn AND datname <> current_database()
    AND EXISTS (
        SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) AS acl
        WHERE acl.grantee = 0 AND acl.privilege_type = 'CONNECT'
    )
ORDER BY datname
"""


@dataclass(frozen=True, slots=True)
class ServerState:
    """State of the server.

    Attributes
    ----------
    version
        Major version, such as 18.
    roles
        Existing roles of the names, and whether each has a password.
    memberships
        (granted role, member, grantor), with the service's roles as members.
    relations
        Tables, views and sequences of this service, with their owners.
    makers
        Roles that run migrations, and whether each is a superuser: the owners and the connected
        user.
    open_databases
        Other databases of the server that every role may connect to.
    """

    version: int
    user: str
    database: str
    roles: Mapping[str, bool]
    memberships: tuple[tuple[str, str, str], ...]
    relations: Mapping[str, str]
    makers: Mapping[str, bool]
    open_databases: tuple[str, ...]


def server_state(connection: psycopg.Connection, names: Names) -> ServerState:
    """Return the state of the server.

    Raises OperationError: ``not_superuser``, ``no_tables``; ``role_exists``: a role of that name
    was not created by this service.
    """
    version, user, database, superuser = _one(connection, _ABOUT)
    if not superuser:
        raise OperationError(
            "not_superuser",
            f"{user} is not a superuser, which roles for base backups require",
            "set DATABASE_URL to the superuser who runs the migrations, or have a superuser run "
            "the output of --dry-run",
        )
    found = connection.execute(_ROLES, [list(names.all())]).fetchall()
    for name, comment, _ in found:
        if comment != mark(names.all()[name]):
            raise OperationError(
                "role_exists",
                f"role {name} exists and was not created by this command",
                "choose other names with --prefix, or drop that role",
            )
    relations = connection.execute(_RELATIONS).fetchall()
    if not relations:
        raise OperationError(
            "no_tables", f"the database {database} has no tables yet", "run 'alembic upgrade head'"
        )
    makers = {owner: superuser for _, _, owner, superuser in relations}
    makers.pop(names.of("owner"), None)
    return ServerState(
        version=version,
        user=user,
        database=database,
        roles={name: has_password for name, _, has_password in found},
        memberships=tuple(connection.execute(_MEMBERSHIPS, [list(names.all())]).fetchall()),
        relations={name: owner for name, _, owner, _ in relations},
        makers=makers | {user: True},
        open_databases=tuple(name for (name,) in connection.execute(_OPEN_DATABASES).fetchall()),
    )


def _one(connection: psycopg.Connection, query: str) -> tuple[int, str, str, bool]:
    row = connection.execute(query).fetchone()
    if row is None:
        raise AssertionError("a SELECT without FROM returned no row")
    version, user, database, superuser = row
    return version, user, database, superuser
