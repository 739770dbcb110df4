"""Addresses of servers, and operators' connections to a primary or to a standby."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import psycopg
from psycopg.conninfo import make_conninfo

from db.addresses import connection_options
from db.cluster.postgres import Postmaster
from db.commands.core import Client
from db.errors import Kind, OperationError
from db.postgres_errors import connection_error
from db.replication.names import DEFAULT_PORT

CONNECT_TIMEOUT: Final = 5
APPLICATION_NAME: Final = "template-service replica"
_SYSTEM: Final = "SELECT system_identifier::text FROM pg_control_system()"
_EVERYWHERE: Final = ("*", "0.0.0.0", "::")  # noqa: S104 - as a server's file has it


@dataclass(frozen=True, slots=True)
class Address:
    """Address of a server: a host, or the directory of its Unix socket, and a port."""

    host: str
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        """Return ``host:port``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @classmethod
    def of_directory(cls, directory: Path) -> Self:
        """Return the address of the server on a data directory.

        Raises OperationError: ``server_away``: none runs there.
        """
        postmaster = Postmaster.read(directory)
        if postmaster is None:
            raise OperationError(
                Kind.SERVER_AWAY,
                f"no server runs on {directory}",
                f"start it: template-service replica start {shlex.quote(str(directory))}",
            )
        host = "localhost" if postmaster.listen in _EVERYWHERE else postmaster.listen
        return cls(host or postmaster.socket, postmaster.port)

    @classmethod
    def read(cls, text: str) -> Self:
        """Parse an operator's input: ``HOST``, ``HOST:PORT`` or a data directory.

        Raises OperationError: ``bad_address``, or ``server_away`` for a data directory whose server
        does not run.
        """
        if Path(text).is_dir():
            return cls.of_directory(Path(text))
        host, colon, port = text.rpartition(":")
        if not colon or text.endswith("]"):
            host, port = text, str(DEFAULT_PORT)
        host = host.removeprefix("[").removesuffix("]")
        # Everyone on the machine can read a command line: a URL with a password is refused.
        if not host or not port.isdecimal() or set(host) & set("@/, "):
            raise OperationError(
                "bad_address",
                "the server address is not HOST:PORT or a data directory",
                "write standby.example.org:5432; user and password come from DATABASE_URL",
            )
        return cls(host, int(port))


def addresses(url: str) -> list[Address]:
    """Return every host in the database's URL, in order."""
    options = connection_options(url)
    hosts = options.get("host", "localhost").split(",")
    ports = options.get("port", "").split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    return [
        Address(host or "localhost", int(port or DEFAULT_PORT))
        for host, port in zip(hosts, ports, strict=True)
    ]


def options_at(url: str, at: Address) -> dict[str, str]:
    """Return libpq's options for one server, with user, password and database of ``url``."""
    options = connection_options(url)
    for name in ("hostaddr", "target_session_attrs", "load_balance_hosts"):
        options.pop(name, None)
    return options | {"host": at.host, "port": str(at.port)}


@contextmanager
def connected(url: str, at: Address | None = None) -> Iterator[psycopg.Connection]:
    """Yield a connection in autocommit mode.

    Raises OperationError: see :func:`db.postgres_errors.connection_error`; ``permission_denied``,
    in the block too.

    Parameters
    ----------
    url
        URL of the database; of several hosts, the one that accepts writes is used.
    at
        The server to connect to instead.
    """
    options = connection_options(url) if at is None else options_at(url, at)
    options.setdefault("connect_timeout", str(CONNECT_TIMEOUT))
    options["application_name"] = APPLICATION_NAME
    try:
        with psycopg.connect(autocommit=True, **options) as connection:  # type: ignore[arg-type]  # libpq takes text
            # All statements here are short; a lock must not block the operator.
            connection.execute("SET lock_timeout = '10s'")
            yield connection
    except psycopg.errors.InsufficientPrivilege as error:
        raise OperationError(
            Kind.PERMISSION_DENIED,
            f"role {options.get('user', '')!r} lacks permission: {error.diag.message_primary}",
            "set TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL to a superuser of the database",
        ) from None
    except psycopg.OperationalError as error:
        server = "the database" if at is None else f"PostgreSQL at {at}"
        raise connection_error(error, server) from None


def one_row(connection: psycopg.Connection, statement: str) -> tuple[object, ...]:
    """Return the row of a statement that always has exactly one."""
    row = connection.execute(statement.encode()).fetchone()
    if row is None:
        raise OperationError(
            Kind.SERVER_FAILED,
            "PostgreSQL returned no row",
            "see its log (in the directory that SHOW log_directory names), then retry",
        )
    return row


def is_standby(connection: psycopg.Connection) -> bool:
    """Return whether the server is a standby."""
    return bool(one_row(connection, "SELECT pg_is_in_recovery()")[0])


def require_primary(connection: psycopg.Connection) -> None:
    """Refuse a standby (raises ``not_a_primary``)."""
    if is_standby(connection):
        raise OperationError(
            "not_a_primary",
            f"the server at {Address(connection.info.host, connection.info.port)} is a standby",
            "set DATABASE_URL to the primary",
        )


def standby_client(client: Client, standby: str) -> Client:
    """Return the client of a standby from which base backups are taken; ``client`` if none is set.

    After a failover it may be the primary.

    Raises OperationError: as :meth:`Address.read` and :func:`connected` do; ``other_cluster``.
    """
    if not standby.strip():
        return client
    at = Address.read(standby)
    with connected(client.url) as primary, connected(client.url, at) as connection:
        ours, its = (one_row(each, _SYSTEM)[0] for each in (primary, connection))
    if its != ours:
        raise OperationError(
            Kind.OTHER_CLUSTER,
            f"the server at {at} belongs to cluster {its}, the primary to {ours}",
            "set TEMPLATE_SERVICE_RECOVERY_STANDBY to a standby of this primary",
        )
    return replace(client, url=make_conninfo(**options_at(client.url, at)))
