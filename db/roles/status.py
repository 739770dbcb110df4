"""Look at the roles: what they may do, and what is not as it should be."""

from dataclasses import dataclass
from importlib.resources import files

import psycopg
from psycopg.conninfo import make_conninfo

from db.roles.apply import CONNECT_TIMEOUT
from db.roles.names import KINDS, Names
from db.session import connection_options


@dataclass(frozen=True, slots=True)
class Status:
    """What :func:`status` found.

    Attributes
    ----------
    roles
        One row for each role: what is missing in it means that the role does not exist.
    findings
        Sentences about what is wrong; ``db roles apply`` mends it unless one says otherwise.
    """

    roles: tuple[dict[str, object], ...]
    findings: tuple[str, ...]


def status(url: str, names: Names) -> Status:
    """Return what there is, as any role that may connect.

    Raises
    ------
    psycopg.Error
        The server is away or refuses.
    """
    with psycopg.connect(
        make_conninfo(**connection_options(url)),
        autocommit=True,
        connect_timeout=CONNECT_TIMEOUT,
        application_name="template-service operator",
    ) as connection:
        parameters: dict[str, str] = {kind: names.of(kind) for kind in KINDS}
        rows = connection.cursor(row_factory=psycopg.rows.dict_row)
        roles = rows.execute(_query("roles"), parameters).fetchall()
        missing = [
            f"the role {name} is missing"
            for name in parameters.values()
            if name not in {str(role["name"]) for role in roles}
        ]
        found = connection.execute(_query("findings"), parameters).fetchall()
    return Status(tuple(roles), (*missing, *(str(sentence) for (sentence,) in found)))


def _query(name: str) -> bytes:
    return (files("db.roles") / f"{name}.sql").read_bytes()
