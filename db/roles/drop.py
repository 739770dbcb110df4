"""Drop the roles."""

from collections.abc import Iterator

from psycopg import sql

from db.roles.apply import connected
from db.roles.names import Names
from db.roles.state import ServerState


def drop(url: str, names: Names) -> tuple[str, ...]:
    """Drop the roles and return their names; the connected superuser becomes the tables' owner.

    Privileges that were revoked from PUBLIC are not granted again.

    Raises OperationError: as :func:`db.roles.state.server_state` does; nothing was changed.
    Raises psycopg.Error: nothing was changed. A role with privileges in another database cannot be
    dropped.
    """
    with connected(url, names) as (connection, server):
        for statement in _statements(server):
            connection.execute(statement)
    return tuple(server.roles)


def _statements(server: ServerState) -> Iterator[sql.Composed]:
    # DROP OWNED revokes privileges on databases and default privileges:
    # https://www.postgresql.org/docs/current/role-removal.html
    user = sql.Identifier(server.user)
    for role in map(sql.Identifier, server.roles):
        yield sql.SQL("REASSIGN OWNED BY {} TO {}").format(role, user)
        yield sql.SQL("DROP OWNED BY {}").format(role)
    for role in map(sql.Identifier, server.roles):
        yield sql.SQL("DROP ROLE {}").format(role)
