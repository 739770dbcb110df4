"""Connections of an operator to a primary or to one of its standbys."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import psycopg

from db.commands.core import CAUSES
from db.errors import OperationError
from db.replication.names import DEFAULT_PORT
from db.session import connection_options, refusal

CONNECT_TIMEOUT: Final = 5
APPLICATION_NAME: Final = "template-service replica"
# Lines of postmaster.pid, counted from 0: PostgreSQL, src/include/utils/pidfile.h.
_PORT_LINE: Final = 3
_SOCKET_LINE: Final = 4
_LISTEN_LINE: Final = 5
_EVERYWHERE: Final = ("*", "0.0.0.0", "::")  # noqa: S104 - as a server's file has it


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens: a host, or the folder of its Unix socket, and a port."""

    host: str
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        """Return ``host:port``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @classmethod
    def of_directory(cls, directory: Path) -> Self:
        """Return where the server on a data directory listens.

        Raises
        ------
        OperationError
            ``server_away``: none runs there.
        """
        try:
            lines = (directory / "postmaster.pid").read_text().splitlines()
            port = int(lines[_PORT_LINE])
            listens = lines[_LISTEN_LINE].strip()
            if listens in _EVERYWHERE:
                listens = "localhost"
            return cls(listens or lines[_SOCKET_LINE], port)
        except (OSError, ValueError, IndexError):
            raise OperationError(
                "server_away",
                f"no server runs on {directory}",
                f"start it: template-service replica start {directory}",
            ) from None

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the address that an operator wrote: ``HOST``, ``HOST:PORT`` or a data directory.

        Raises
        ------
        OperationError
            ``bad_address``, or ``server_away`` for a data directory whose server does not run.
        """
        if Path(text).is_dir():
            return cls.of_directory(Path(text))
        host, colon, port = text.rpartition(":")
        if not colon or text.endswith("]"):
            host, port = text, str(DEFAULT_PORT)
        host = host.removeprefix("[").removesuffix("]")
        # An address with a password in it would be on the command line for everyone to read.
        if not host or not port.isdecimal() or set(host) & set("@/, "):
            raise OperationError(
                "bad_address",
                "the server was not named as HOST:PORT or by its data directory",
                "name it as in standby.example.org:5432; user and password are those of the URL",
            )
        return cls(host, int(port))


def addresses(url: str) -> list[Address]:
    """Return every host that the address of the database names, in its order."""
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
    """Yield a connection that commits each statement by itself.

    Parameters
    ----------
    url
        Of the database. Of several hosts the one that takes writes is chosen.
    at
        The server to connect to instead.

    Raises
    ------
    OperationError
        ``server_away``, ``password_refused`` or ``permission_denied``, here or in the block.
    """
    options = connection_options(url) if at is None else options_at(url, at)
    options.setdefault("connect_timeout", str(CONNECT_TIMEOUT))
    options["application_name"] = APPLICATION_NAME
    try:
        with psycopg.connect(autocommit=True, **options) as connection:  # type: ignore[arg-type]  # libpq takes text
            # Nothing here reads much; a server that hangs should not hang the operator.
            connection.execute("SET lock_timeout = '10s'")
            yield connection
    except psycopg.errors.InsufficientPrivilege as error:
        raise OperationError(
            "permission_denied",
            f"role {options.get('user', '')!r} may not do this: {error.diag.message_primary}",
            "set TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL to the database as a superuser",
        ) from None
    except psycopg.OperationalError as error:
        raise _unreachable(error, at) from None


def one_row(connection: psycopg.Connection, statement: str) -> tuple[object, ...]:
    """Return the only row of a statement that always has one."""
    row = connection.execute(statement.encode()).fetchone()
    if row is None:
        raise OperationError("server_failed", "PostgreSQL answered nothing", "look at its log")
    return row


def is_standby(connection: psycopg.Connection) -> bool:
    """Tell whether the server only follows another one."""
    return bool(one_row(connection, "SELECT pg_is_in_recovery()")[0])


def _unreachable(error: psycopg.OperationalError, at: Address | None) -> OperationError:
    text = str(error)
    where = "the database" if at is None else f"PostgreSQL at {at}"
    message = f"{where} cannot be used: {error.diag.message_primary or refusal(error)}"
    if "session is read-only" in text:
        return OperationError(
            "no_primary",
            "of the hosts in DATABASE_URL none is a primary that answers",
            "start the primary, or if it is lost: template-service replica promote",
        )
    for words, kind, remedy in CAUSES:
        if words in text:
            return OperationError(kind, message, remedy)
    return OperationError("server_away", message, "check that PostgreSQL runs and its address")
