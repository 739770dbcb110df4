"""Create or update the roles, in one transaction."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import psycopg
from psycopg.conninfo import make_conninfo

from db.addresses import connection_options
from db.roles.names import LOGINS, Kind, Names
from db.roles.passwords import Secret, choose, kept
from db.roles.state import ServerState, server_state
from db.roles.statements import statements

CONNECT_TIMEOUT: Final = 10
# Concurrent runs wait for each other; on a lock of another session a run fails and can be retried.
LOCK_TIMEOUT: Final = "4s"
HIDDEN: Final = "SCRAM-SHA-256$..."
# Keeps password verifiers out of the server's log and statistics.
_NOT_LOGGED: Final = {
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_min_error_statement": "panic",
    "pg_stat_statements.track_utility": "off",
}


@dataclass(frozen=True, slots=True)
class Role:
    """A role that was created or updated.

    Attributes
    ----------
    made
        Whether it is new.
    password
        ``kept`` means that its existing password is unchanged.
    file
        The password file, if this run knows it.
    """

    kind: Kind
    name: str
    made: bool
    password: Literal["generated", "set", "kept"]
    file: Path | None


@dataclass(frozen=True, slots=True)
class Applied:
    """Result of :func:`apply`.

    Attributes
    ----------
    database, user
        Database and user of the connection.
    roles
        Roles that can log in.
    open_databases
        Other databases of the server that every role may connect to.
    """

    database: str
    user: str
    roles: tuple[Role, ...]
    open_databases: tuple[str, ...]


def apply(  # noqa: PLR0913 - by name only, and each is one option of the command
    url: str,
    names: Names,
    *,
    given: Mapping[Kind, Path],
    output: Path | None,
    rotate: bool = False,
    close_others: bool = False,
) -> Applied:
    """Create the roles, or update them; a second run changes nothing.

    Raises OperationError: as :func:`db.roles.state.server_state` and
    :func:`db.roles.passwords.choose` do; nothing was changed.
    Raises psycopg.Error: nothing was changed.

    Parameters
    ----------
    url
        The database, as a superuser.
    given
        Files with the passwords of some roles.
    output
        Directory for generated password files; see :func:`db.roles.passwords.choose`.
    rotate
        Generate new passwords for roles that have one.
    close_others
        Revoke CONNECT on the server's other databases from PUBLIC.
    """
    with ExitStack() as files, connected(url, names) as (connection, server):
        chosen: dict[Kind, Secret | None] = {
            kind: choose(
                name := names.of(kind),
                has=server.roles.get(name, False),
                given=given.get(kind),
                output=output,
                rotate=rotate,
            )
            for kind in LOGINS
        }
        secrets = [secret for secret in chosen.values() if secret is not None]
        # It ends after the transaction, whose commit decides about the files.
        files.enter_context(kept(secrets))
        verifiers = {secret.role: secret.verifier(connection) for secret in secrets}
        for statement in statements(names, server, verifiers, close_others=close_others):
            connection.execute(statement)
    return Applied(
        database=server.database,
        user=server.user,
        roles=tuple(
            Role(
                kind=kind,
                name=names.of(kind),
                made=names.of(kind) not in server.roles,
                password="kept" if secret is None else "generated" if secret.new else "set",
                file=None if secret is None else secret.file,
            )
            for kind, secret in chosen.items()
        ),
        open_databases=() if close_others else server.open_databases,
    )


def preview(url: str, names: Names, *, rotate: bool = False, close_others: bool = False) -> str:
    """Return the statements that :func:`apply` would run, with passwords hidden."""
    with connected(url, names) as (connection, server):
        verifiers = {
            name: HIDDEN
            for name in map(names.of, LOGINS)
            if rotate or not server.roles.get(name, False)
        }
        planned = statements(names, server, verifiers, close_others=close_others)
        lines = [f"{statement.as_string(connection)};" for statement in planned]
    return "\n".join(["BEGIN;", *lines, "COMMIT;"])


@contextmanager
def connected(url: str, names: Names) -> Iterator[tuple[psycopg.Connection, ServerState]]:
    """Yield a connection in a transaction that commits at the end, and the server's state.

    Concurrent runs wait for each other. The statements are not logged.

    Raises OperationError: see :func:`db.roles.state.server_state`.
    """
    with connect(url) as connection, connection.transaction():
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('template-service: roles', 0))"
        )
        server = server_state(connection, names)
        for setting, value in {**_NOT_LOGGED, "lock_timeout": LOCK_TIMEOUT}.items():
            connection.execute("SELECT set_config(%s, %s, true)", [setting, value])
        yield connection, server


def connect(url: str) -> psycopg.Connection:
    """Return an operator's connection in autocommit mode."""
    return psycopg.connect(
        make_conninfo(**connection_options(url)),
        autocommit=True,
        connect_timeout=CONNECT_TIMEOUT,
        application_name="template-service operator",
    )
