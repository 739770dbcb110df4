"""Create the roles of a backup that the server lacks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import psycopg
from psycopg import errors, sql
from psycopg.rows import DictRow

from db.backup.databases import administering
from db.backup.restore.powers import ATTRIBUTES, Powers, covers, granted_first
from db.backup.roles import (
    Membership,
    ParameterGrant,
    RoleFacts,
    RoleSetting,
    ServerRoles,
    has_membership_options,
    read_roles,
)
from db.errors import Kind, OperationError
from db.roles.names import KINDS, PREDEFINED, Names, mark
from db.roles.names import Kind as RoleKind

_IS_SUPERUSER: Final = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"


@dataclass(frozen=True, slots=True)
class CreatedRoles:
    """Result of :func:`create_roles`.

    Attributes
    ----------
    names
        The new roles.
    withheld
        What they had when the backup was taken, and do not have now, such as ``SUPERUSER of ops``.
    """

    names: list[str] = field(default_factory=list)
    withheld: list[str] = field(default_factory=list)


def create_roles(url: str, wanted: ServerRoles) -> CreatedRoles:
    """Create the roles that the server lacks, all or none. Existing ones are unchanged.

    Attributes that give power beyond the rights on objects are restored by a superuser only, and
    never for the roles of the application: see :func:`role_statements`.

    Raises OperationError: ``restore_failed``, ``permission_denied``: no role was created.

    Parameters
    ----------
    url
        URL of any database of the server.
    """
    with administering(url) as admin:
        row = admin.execute(_IS_SUPERUSER).fetchone()
        found = read_roles(admin, passwords=False)
        plan = RolePlan(
            wanted,
            found,
            is_superuser=row is not None and row["rolsuper"],
            has_options=has_membership_options(admin),
        )
        _execute(admin, plan)
    return CreatedRoles([role.name for role in plan.missing], plan.withheld)


@dataclass(slots=True)
class RolePlan:
    """The roles of a backup, and the server that they are created on.

    Attributes
    ----------
    server
        The roles of the server.
    is_superuser
        Whether a superuser creates the roles.
    has_options
        Whether memberships have the options of PostgreSQL 16.
    withheld
        See :class:`CreatedRoles`; filled by :func:`role_statements`.
    """

    wanted: ServerRoles
    server: ServerRoles = field(default_factory=ServerRoles)
    is_superuser: bool = True
    has_options: bool = True
    withheld: list[str] = field(default_factory=list)

    @property
    def missing(self) -> list[RoleFacts]:
        """The roles to create."""
        existing = {role.name for role in self.server.roles}
        return [role for role in self.wanted.roles if role.name not in existing]


def role_statements(plan: RolePlan) -> Iterator[tuple[sql.Composed, str | None]]:
    """Yield the statements that create the missing roles.

    Names are quoted identifiers, and all values are literals. With each comes what it gives to a
    role, if that may be left out where the server refuses it.
    """
    created = {role.name: role for role in plan.missing}
    for role in created.values():
        yield _create(plan, role), None
        if role.comment is not None:
            comment = sql.SQL("COMMENT ON ROLE {} IS {}").format(
                sql.Identifier(role.name), sql.Literal(role.comment)
            )
            yield comment, None
    for setting in plan.wanted.settings:
        if setting.role in created:
            yield _set(setting), f"setting {setting.name} of {setting.role}"
    for parameter in plan.wanted.parameters:
        if parameter.role not in created:
            continue
        what = f"{parameter.privilege} ON PARAMETER {parameter.name} of {parameter.role}"
        # archive_command and others run programs: such a right makes its owner a superuser.
        if plan.is_superuser and _kind(created[parameter.role]) is None:
            yield _allow(parameter), what
        else:
            plan.withheld.append(what)
    yield from _grants(plan, created)


def _grants(
    plan: RolePlan, created: Mapping[str, RoleFacts]
) -> Iterator[tuple[sql.Composed, str | None]]:
    """Yield the memberships of created roles; record those that are left out."""
    allowed = _allowed(plan, created)
    for membership in plan.wanted.memberships:
        if membership in allowed:
            yield _grant(membership, has_options=plan.has_options), _membership(membership)
        elif membership.member in created:
            plan.withheld.append(_membership(membership))


def _create(plan: RolePlan, role: RoleFacts) -> sql.Composed:
    options: list[sql.Composable] = []
    for attribute, keyword in ATTRIBUTES.items():
        if not getattr(role, attribute):
            continue
        if plan.is_superuser and _may_have(role, attribute):
            options.append(sql.SQL(keyword))
        else:
            plan.withheld.append(f"{keyword} of {role.name}")
    if role.create_db:
        options.append(sql.SQL("CREATEDB"))
    if role.login:
        options.append(sql.SQL("LOGIN"))
    options.append(sql.SQL("INHERIT" if role.inherit else "NOINHERIT"))
    options.append(sql.SQL("CONNECTION LIMIT ") + sql.Literal(role.connection_limit))
    if role.password is not None:
        options.append(sql.SQL("PASSWORD ") + sql.Literal(role.password))
    if role.valid_until is not None:
        options.append(sql.SQL("VALID UNTIL ") + sql.Literal(role.valid_until))
    name = sql.Identifier(role.name)
    return sql.SQL("CREATE ROLE {} WITH {}").format(name, sql.SQL(" ").join(options))


def _set(setting: RoleSetting) -> sql.Composed:
    return sql.SQL("ALTER ROLE {} SET {} TO {}").format(
        sql.Identifier(setting.role),
        sql.Identifier(*setting.name.split(".")),
        sql.SQL(", ").join(map(sql.Literal, setting.values)),
    )


def _allow(parameter: ParameterGrant) -> sql.Composed:
    statement = sql.SQL("GRANT {} ON PARAMETER {} TO {}").format(
        sql.SQL(parameter.privilege),
        sql.Identifier(*parameter.name.split(".")),
        sql.Identifier(parameter.role),
    )
    return statement + sql.SQL(" WITH GRANT OPTION") if parameter.grantable else statement


def _grant(membership: Membership, *, has_options: bool) -> sql.Composed:
    options = [sql.SQL("ADMIN OPTION")] if membership.admin else []
    for keyword, value in (("INHERIT", membership.inherit), ("SET", membership.set)):
        if has_options and value is not None:
            options.append(sql.SQL(f"{keyword} {'TRUE' if value else 'FALSE'}"))
    statement = sql.SQL("GRANT {} TO {}").format(
        sql.Identifier(membership.role), sql.Identifier(membership.member)
    )
    if not options:
        return statement
    return statement + sql.SQL(" WITH ") + sql.SQL(", ").join(options)


def _allowed(plan: RolePlan, created: Mapping[str, RoleFacts]) -> set[Membership]:
    """Return the memberships of created roles that give no power that must not be restored."""
    parameters = tuple(each for each in plan.wanted.parameters if each.role in created)
    its = ServerRoles(roles=tuple(created.values()), parameters=parameters)
    then, now = Powers(plan.wanted), Powers(plan.server, its)
    allowed = set()
    # What a role can do is known when its own memberships are.
    for membership in granted_first(plan.wanted.memberships):
        if membership.member not in created:
            continue
        granted, kind = membership.role, _kind(created[membership.member])
        powers = now.of(granted)
        if kind is None:
            is_allowed = not powers or (plan.is_superuser and covers(then.of(granted), powers))
        else:
            known = set(PREDEFINED) if kind == "maintenance" else set()
            is_allowed = not powers and now.predefined(granted) <= known
        if is_allowed:
            now.add(membership)
            allowed.add(membership)
    return allowed


def _membership(membership: Membership) -> str:
    return f"membership of {membership.member} in {membership.role}"


def _may_have(role: RoleFacts, attribute: str) -> bool:
    kind = _kind(role)
    # Its role for base backups connects for replication: db.roles.names.ATTRIBUTES.
    return kind is None or (kind == "maintenance" and attribute == "replication")


def _kind(role: RoleFacts) -> RoleKind | None:
    """Return the kind of a role of the application, ``None`` for any other role."""
    for kind in KINDS:
        if role.comment == mark(kind):
            return kind
    return Names().all().get(role.name)


def _execute(admin: psycopg.Connection[DictRow], plan: RolePlan) -> None:
    try:
        with admin.transaction():
            for statement, what in role_statements(plan):
                try:
                    with admin.transaction():
                        admin.execute(statement)
                except (errors.UndefinedObject, errors.DataError):
                    # Another version of PostgreSQL: its settings and predefined roles differ.
                    if what is None:
                        raise
                    plan.withheld.append(f"{what}, which this server does not have or accept")
    except errors.InsufficientPrivilege:
        raise OperationError(
            Kind.PERMISSION_DENIED,
            "the role may not create the roles of the backup",
            "use a superuser, or a role with CREATEROLE that is a member of all of them",
        ) from None
    except psycopg.Error as error:
        # Not its text, which may repeat a setting's value.
        raise OperationError(
            Kind.RESTORE_FAILED,
            f"the roles of the backup cannot be created: SQLSTATE {error.sqlstate}",
            "create them by hand: template-service backup cat --roles",
        ) from None
