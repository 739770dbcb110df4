"""The database's address, its connections, and how libpq reads the address; no SQLAlchemy."""

import re
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from db.bounds import COUNT, COUNT_OR_NONE, SECONDS

# psycopg returns text of a database in SQL_ASCII as bytes, and a database's own setting may be an
# encoding that lacks letters.
CLIENT_ENCODING: Final = "utf8"
# psycopg reads times and intervals in these formats only; a role or a database may have others.
FORMATS: Final = "-c DateStyle=ISO -c IntervalStyle=postgres"
_SCHEME: Final = re.compile(r"\Apostgres(?:ql)?(?:\+\w+)?://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """Policy of connections. Times are seconds."""

    # 20 + 10 connections, 30 s, an hour and the pre-ping are the values of the operations guide
    # that this service replaces (docs/operations.md, "What has changed since the old guide").
    pool_size: Annotated[
        int, COUNT, "Maximum number of connections that a worker process keeps open."
    ] = 20
    max_overflow: Annotated[
        int, COUNT_OR_NONE, "Additional connections when the pool is exhausted."
    ] = 10
    pool_timeout: Annotated[float, SECONDS, "Seconds to wait for a free connection."] = 30
    pool_recycle: Annotated[int, SECONDS, "Seconds after which a connection is replaced."] = 3600
    pool_pre_ping: Annotated[
        bool, "Test a connection before each use, so that a restart goes unnoticed."
    ] = True
    connect_timeout: Annotated[
        int, SECONDS, "Seconds to wait for PostgreSQL to accept a connection."
    ] = 5
    # Half of the soft time limit: a statement that timed out can be retried within the task.
    statement_timeout: Annotated[
        float,
        SECONDS,
        "Seconds that a statement of a task may take; maintenance has no such limit.",
    ] = 10
    transaction_pooler: Annotated[
        bool,
        "Whether DATABASE_URL is a pooler in transaction mode, such as PgBouncer: nothing is kept "
        "on a connection between two transactions. Not for TEMPLATE_SERVICE_MAINTENANCE_"
        "DATABASE_URL, which needs PostgreSQL itself.",
    ] = False


@dataclass(frozen=True, slots=True)
class Database(Connections):
    """A database and the policy of its connections."""

    url: str


def connection_options(url: str) -> dict[str, str]:
    """Parse ``url`` as libpq does; return the options by libpq's keywords.

    With several hosts (``postgresql://user:password@one:5432,two:5432/database``) libpq connects to
    the one that accepts writes, unless the URL sets ``target_session_attrs``.

    Raises
    ------
    ValueError
        Not an address of PostgreSQL.
    """
    try:
        options = {
            name: str(value)
            for name, value in conninfo_to_dict(libpq_url(url)).items()
            if value is not None
        }
    except psycopg.ProgrammingError:
        # libpq's message quotes the address, which may contain a password.
        raise ValueError(
            "expected postgresql://user:password@host:port/database, with several hosts as "
            "host1:port1,host2:port2, and %XX for other characters in user and password"
        ) from None
    if "," in options.get("host", ""):
        options.setdefault("target_session_attrs", "read-write")
    return options


def libpq_url(url: str) -> str:
    """Return ``url`` with the scheme ``postgresql://``, without SQLAlchemy's driver.

    That is the form of libpq and its programs; it may name several hosts
    (https://www.postgresql.org/docs/current/libpq-connect.html).
    """
    return _SCHEME.sub("postgresql://", url, count=1)


def without_credentials(urls: str) -> str:
    """Return the address of a server, or several separated by ``;``, without secrets."""
    parts = [urlsplit(url) for url in urls.split(";")]
    return ";".join(
        f"{each.scheme}://{each.netloc.rpartition('@')[2]}{each.path}" for each in parts
    )
