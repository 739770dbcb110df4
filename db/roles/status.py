"""Status of the roles: privileges and problems."""

from dataclasses import dataclass
from importlib.resources import files

import psycopg

from db.roles.apply import connect
from db.roles.names import KINDS, PREDEFINED, Names


@dataclass(frozen=True, slots=True)
class RolesStatus:
    """Status of the roles.

    Attributes
    ----------
    roles
        One row for each existing role.
    findings
        A sentence for each problem; ``db roles apply`` fixes it unless the sentence says otherwise.
    """

    roles: tuple[dict[str, object], ...]
    findings: tuple[str, ...]


def status(url: str, names: Names) -> RolesStatus:
    """Return the status, which every role may read."""
    with connect(url) as connection:
        roles_of: dict[str, str] = {kind: names.of(kind) for kind in KINDS}
        parameters: dict[str, object] = {**roles_of, "predefined": list(PREDEFINED)}
        rows = connection.cursor(row_factory=psycopg.rows.dict_row)
        roles = rows.execute(_query("roles"), parameters).fetchall()
        missing = [
            f"the role {name} is missing"
            for name in roles_of.values()
            if name not in {str(role["name"]) for role in roles}
        ]
        found = connection.execute(_query("findings"), parameters).fetchall()
    return RolesStatus(tuple(roles), (*missing, *(str(sentence) for (sentence,) in found)))


def _query(name: str) -> bytes:
    return (files("db.roles") / f"{name}.sql").read_bytes()
