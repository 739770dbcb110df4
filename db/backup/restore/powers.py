"""Powers of roles: what they may do beyond rights on objects, also through memberships."""

from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Final

from db.backup.roles import Membership, RoleFacts, ServerRoles

ATTRIBUTES: Final = {
    "superuser": "SUPERUSER",
    "create_role": "CREATEROLE",
    "replication": "REPLICATION",
    "bypass_rls": "BYPASSRLS",
}
"""Attributes of a role that are powers, and their keywords."""

# Members of these can become superuser: https://www.postgresql.org/docs/current/predefined-roles.html
_POWERFUL: Final = frozenset(
    {"pg_execute_server_program", "pg_read_server_files", "pg_write_server_files"}
)


class Powers:
    """The powers that each role of a server has, or can have after SET ROLE.

    Parameters
    ----------
    facts
        The roles of the server.
    created
        Roles that are created on it, with their attributes and rights on settings, and without
        memberships: see :meth:`add`.
    """

    def __init__(self, facts: ServerRoles, created: ServerRoles | None = None) -> None:
        self._own: dict[str, set[str]] = {}
        self._granted: dict[str, set[str]] = {}
        for each in (facts, created or ServerRoles()):
            for role in each.roles:
                self._own.setdefault(role.name, set()).update(_attributes(role))
            for grant in each.parameters:
                power = f"{grant.privilege} ON PARAMETER {grant.name}"
                self._own.setdefault(grant.role, set()).add(power)
        for membership in facts.memberships:
            self.add(membership)

    def add(self, membership: Membership) -> None:
        """Take a membership into account."""
        self._granted.setdefault(membership.member, set()).add(membership.role)

    def of(self, role: str) -> set[str]:
        """Return the powers of a role, and of all that it is a member of."""
        reached = set(self._reached(role, through_predefined=True))
        own = (self._own.get(each, set()) for each in reached)
        return (reached & _POWERFUL).union(*own)

    def predefined(self, role: str) -> set[str]:
        """Return the predefined roles that a role is or is a member of, without theirs."""
        every = self._reached(role, through_predefined=False)
        return {each for each in every if each.startswith("pg_")}

    def _reached(self, role: str, *, through_predefined: bool) -> Iterator[str]:
        seen, waiting = {role}, [role]
        while waiting:
            name = waiting.pop()
            yield name
            if through_predefined or not name.startswith("pg_"):
                new = self._granted.get(name, set()) - seen
                seen |= new
                waiting += new


def covers(then: set[str], now: set[str]) -> bool:
    """Return whether powers include others; a superuser has all."""
    return "SUPERUSER" in then or now <= then


def granted_first(memberships: Iterable[Membership]) -> list[Membership]:
    """Return memberships sorted so that a role's own come before those of its members.

    Circular memberships, which a server refuses, stay in their order.
    """
    listed = list(memberships)
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for membership in listed:
        sorter.add(membership.member, membership.role)
    try:
        places = {role: place for place, role in enumerate(sorter.static_order())}
    except CycleError:
        return listed
    return sorted(listed, key=lambda membership: places[membership.member])


def _attributes(role: RoleFacts) -> set[str]:
    return {keyword for attribute, keyword in ATTRIBUTES.items() if getattr(role, attribute)}
