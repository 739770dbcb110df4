"""Role facts: the server's roles as data, from which a restore makes its own statements.

``pg_dumpall --roles-only`` writes SQL instead, which a restore would have to execute: a role may
put any text into its own settings.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, Self

import psycopg
from psycopg.rows import DictRow, dict_row
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from db.errors import Kind, OperationError

# Not a zero byte, at which PostgreSQL would cut it: what was checked would be another name.
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
Name = Annotated[Text, StringConstraints(min_length=1)]
Privilege = Literal["SET", "ALTER SYSTEM"]
SUFFIX: Final = ".roles.json.gz"
"""Suffix of a file of facts."""
# Settings whose value is a list of names, each quoted where necessary: GUC_LIST_QUOTE in
# PostgreSQL's src/bin/pg_dump/dumputils.c. One literal would make one name of all of them.
_LISTS: Final = frozenset(
    {
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    }
)
_ITEM: Final = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^",]*))\s*(?:,|$)')
# The oldest PostgreSQL with options of a membership besides ADMIN.
_OPTIONS_SINCE: Final = 160_000
_ROLES: Final = """
SELECT r.rolname AS name, r.rolsuper AS superuser, r.rolcreaterole AS create_role,
       r.rolreplication AS replication, r.rolbypassrls AS bypass_rls, r.rolinherit AS inherit,
       r.rolcreatedb AS create_db, r.rolcanlogin AS login, r.rolconnlimit AS connection_limit,
       r.rolvaliduntil::text AS valid_until, shobj_description(r.oid, 'pg_authid') AS comment
FROM pg_roles AS r
WHERE r.rolname !~ '^pg_'
ORDER BY r.rolname
"""
_PASSWORDS: Final = "SELECT rolname AS name, rolpassword AS password FROM pg_authid"
# to_jsonb: the options are columns from PostgreSQL 16 on.
_MEMBERSHIPS: Final = """
SELECT granted.rolname AS role, member.rolname AS member, m.admin_option AS admin,
       (to_jsonb(m) ->> 'inherit_option')::boolean AS inherit,
       (to_jsonb(m) ->> 'set_option')::boolean AS set
FROM pg_auth_members AS m
JOIN pg_roles AS granted ON granted.oid = m.roleid
JOIN pg_roles AS member ON member.oid = m.member
ORDER BY granted.rolname, member.rolname, m.admin_option
"""
_SETTINGS: Final = """
SELECT r.rolname AS role, split_part(c.setting, '=', 1) AS name,
       substr(c.setting, strpos(c.setting, '=') + 1) AS value
FROM pg_db_role_setting AS s
JOIN pg_roles AS r ON r.oid = s.setrole
CROSS JOIN unnest(s.setconfig) AS c(setting)
WHERE s.setdatabase = 0 AND r.rolname !~ '^pg_'
ORDER BY r.rolname, 2
"""
# Each has a grantee: grants to PUBLIC belong to the server, not to its roles. A superuser
# needs none.
_PARAMETERS: Final = """
SELECT r.rolname AS role, p.parname AS name, a.privilege_type AS privilege,
       a.is_grantable AS grantable
FROM pg_parameter_acl AS p
CROSS JOIN aclexplode(p.paracl) AS a
JOIN pg_roles AS r ON r.oid = a.grantee
WHERE NOT r.rolsuper
ORDER BY r.rolname, p.parname, a.privilege_type
"""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RoleFacts(_Frozen):
    """A role, with the attributes of ``CREATE ROLE``.

    Attributes
    ----------
    password
        Its verifier, as pg_authid has it; ``None`` if it has none, or a role dumped that may not
        read it.
    """

    name: Name
    superuser: bool = False
    create_role: bool = False
    replication: bool = False
    bypass_rls: bool = False
    inherit: bool = True
    create_db: bool = False
    login: bool = False
    connection_limit: int = -1
    password: Text | None = None
    valid_until: Text | None = None
    comment: Text | None = None


class Membership(_Frozen):
    """``member`` is in ``role``; ``inherit`` and ``set`` are unknown before PostgreSQL 16."""

    role: Name
    member: Name
    admin: bool = False
    inherit: bool | None = None
    set: bool | None = None


class RoleSetting(_Frozen):
    """A setting of a role in all databases; a list such as ``search_path`` has several values."""

    role: Name
    name: Name
    values: tuple[Text, ...]


class ParameterGrant(_Frozen):
    """The right of a role to change a setting of the server: ``SET`` or ``ALTER SYSTEM``."""

    role: Name
    name: Name
    privilege: Privilege
    grantable: bool = False


class ServerRoles(_Frozen):
    """The roles of a server, without the predefined ones."""

    roles: tuple[RoleFacts, ...] = ()
    memberships: tuple[Membership, ...] = ()
    settings: tuple[RoleSetting, ...] = ()
    parameters: tuple[ParameterGrant, ...] = ()

    @classmethod
    def parse(cls, content: bytes, name: str) -> Self:
        """Return the facts of a file (raises ``archive_unreadable``)."""
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            # Neither input nor context: they hold password verifiers.
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise OperationError(
                Kind.ARCHIVE_UNREADABLE,
                f"the roles in {name} cannot be read: {place} {first['type']}",
                "use another backup",
            ) from None

    def chunks(self) -> Iterator[bytes]:
        """Yield the content of the file."""
        yield self.model_dump_json(indent=2, exclude_none=True).encode() + b"\n"


def read_roles(connection: psycopg.Connection[Any], *, passwords: bool) -> ServerRoles:
    """Return the roles of a server.

    Parameters
    ----------
    passwords
        Whether to read the verifiers, which needs a superuser.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        roles = cursor.execute(_ROLES).fetchall()
        memberships = cursor.execute(_MEMBERSHIPS).fetchall()
        settings = cursor.execute(_SETTINGS).fetchall()
        parameters = cursor.execute(_PARAMETERS).fetchall()
        known = cursor.execute(_PASSWORDS).fetchall() if passwords else []
    verifiers = {row["name"]: row["password"] for row in known}
    return ServerRoles(
        roles=tuple(RoleFacts(**row, password=verifiers.get(row["name"])) for row in roles),
        memberships=tuple(Membership(**row) for row in memberships),
        settings=tuple(map(_setting, settings)),
        parameters=tuple(ParameterGrant(**row) for row in parameters),
    )


def has_membership_options(connection: psycopg.Connection[Any]) -> bool:
    """Return whether a membership has the options ``INHERIT`` and ``SET`` on this server."""
    return connection.info.server_version >= _OPTIONS_SINCE


def split_names(value: str) -> tuple[str, ...] | None:
    """Return the names of a list as PostgreSQL stores it; ``None`` if it is not such a list."""
    if not value.strip():
        return ()
    names, place = [], 0
    while place <= len(value):
        if (match := _ITEM.match(value, place)) is None:
            return None
        quoted, bare = match.groups()
        names.append(bare.strip() if quoted is None else quoted.replace('""', '"'))
        if not value[match.start() : match.end()].endswith(","):
            return tuple(names)
        place = match.end()
    return None


def setting_values(name: str, value: str) -> tuple[str, ...]:
    """Return a stored setting as the values of ``SET name TO``: several if it is a list."""
    return (split_names(value) if name.lower() in _LISTS else None) or (value,)


def _setting(row: DictRow) -> RoleSetting:
    values = setting_values(row["name"], row["value"])
    return RoleSetting(role=row["role"], name=row["name"], values=values)
