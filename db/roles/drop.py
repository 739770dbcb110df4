"""Take the roles away again."""

from collections.abc import Iterator

from psycopg import sql

from db.roles.apply import connected
from db.roles.names import Names
from db.roles.server import Server


def drop(url: str, names: Names) -> tuple[str, ...]:
    """Drop the roles; their tables become the user's who is connected. Return those dropped.

    What was taken from PUBLIC is not given back.

    Parameters
    ----------
    url
        The database, as a superuser.
    names
        Of the roles.

    Raises
    ------
    OperationError
        Nothing was changed: see :func:`db.roles.server.look`.
    psycopg.Error
        Nothing was changed. A role that has rights in another database cannot be dropped.
    """
    with connected(url, names) as (connection, server):
        for statement in _statements(server):
            connection.execute(statement)
    return tuple(server.roles)


def _statements(server: Server) -> Iterator[sql.Composed]:
    # Rights on databases and default privileges are what DROP OWNED takes away:
    # https://www.postgresql.org/docs/current/role-removal.html
    user = sql.Identifier(server.user)
    for role in map(sql.Identifier, server.roles):
        yield sql.SQL("REASSIGN OWNED BY {} TO {}").format(role, user)
        yield sql.SQL("DROP OWNED BY {}").format(role)
    for role in map(sql.Identifier, server.roles):
        yield sql.SQL("DROP ROLE {}").format(role)
