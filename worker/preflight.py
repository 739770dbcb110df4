"""Checks of a worker's servers before it takes a message."""

import logging
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from amqp.exceptions import AccessRefused, PreconditionFailed
from kombu import Connection
from sqlalchemy import create_engine, inspect, pool, text
from sqlalchemy.exc import OperationalError

from db import migrations
from db.postgres_errors import refusal
from db.session import sqlalchemy_url
from worker import broker, rabbitmq
from worker.celery_settings import SENTINEL, SOCKET_TIMEOUT, sentinel_options
from worker.queues import QueueName
from worker.setting_types import RESULT_SCHEMES
from worker.settings import Settings, environment_name

logger = logging.getLogger(__name__)

PERMANENT: Final = (
    "authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "permission denied for database",
    "SSL error",
    "does not match host name",
    "root certificate",
)
"""Phrases of libpq's errors that no retry fixes."""
START_SECONDS: Final = 10.0
"""Enough for servers that start at the same time as the worker. After a longer wait the worker
exits, and its supervisor restarts it."""
OLDEST_POSTGRESQL: Final = 150_000  # server_version_num of PostgreSQL 15.0


class StartError(Exception):
    """A server is unavailable or unsuitable; the text names the setting and the remedy."""


def check(settings: Settings, seconds: float = START_SECONDS) -> None:
    """Check database, broker and result backend; retry for up to ``seconds``.

    Raises
    ------
    StartError
        With a line for each server that cannot be used.
    """
    problems = []
    deadline = time.monotonic() + seconds
    for check_server in (_database, _broker, _result_backend):
        try:
            _retried(deadline, check_server, settings)
        except StartError as error:
            problems.append(str(error))
    if problems:
        raise StartError("\n".join(problems))


class _UnavailableError(Exception):
    """The server is unavailable, perhaps temporarily: the check is retried."""


def _retried(deadline: float, check_server: Callable[[Settings], None], settings: Settings) -> None:
    while True:
        try:
            return check_server(settings)
        except _UnavailableError as error:
            if time.monotonic() >= deadline:
                raise StartError(str(error)) from None
            time.sleep(0.2)


def _database(settings: Settings) -> None:
    engine = create_engine(
        sqlalchemy_url(settings.database_url.get_secret_value()),
        poolclass=pool.NullPool,
        connect_args={"connect_timeout": settings.db.connect_timeout},
    )
    try:
        with engine.connect() as connection:
            version = connection.scalar(text("SELECT current_setting('server_version_num')::int"))
            follows = connection.scalar(text("SELECT pg_is_in_recovery()"))
            migrated = inspect(connection).has_table("alembic_version")
            revision = (
                connection.scalar(text("SELECT version_num FROM alembic_version"))
                if migrated
                else None
            )
    except OperationalError as error:
        reason = refusal(error.orig)
        message = f"DATABASE_URL: PostgreSQL cannot be used: {reason}"
        if any(words in reason for words in PERMANENT):
            raise StartError(message) from None
        raise _UnavailableError(message) from None
    if follows:
        raise _UnavailableError(
            "DATABASE_URL: this PostgreSQL is a standby, which is read-only: use its primary, "
            "or both as postgresql://user:password@host1:port1,host2:port2/database"
        )
    if (version or 0) < OLDEST_POSTGRESQL:
        raise StartError("DATABASE_URL: expected PostgreSQL 15 or newer")
    if revision is None:
        raise StartError("DATABASE_URL: the database has no tables yet: run 'alembic upgrade head'")
    # An unknown revision is newer: during a deployment old workers continue.
    if revision != migrations.head() and migrations.is_known(revision):
        raise StartError(
            f"DATABASE_URL: the database is at revision {revision}, this worker needs "
            f"{migrations.head()}: run 'alembic upgrade head'"
        )


def _broker(settings: Settings) -> None:
    url = settings.broker_url.get_secret_value()
    if urlsplit(url).scheme not in rabbitmq.SCHEMES:
        _connect("CELERY_BROKER_URL", url, settings)
        return
    name = environment_name("broker_url")
    with broker.connection(settings) as connection:
        try:
            connection.connect()
        except connection.recoverable_connection_errors as error:
            raise _UnavailableError(f"{name}: the server cannot be used: {error}") from None
        # In py-amqp a wrong password is a channel error, a missing virtual host a connection error.
        except (*connection.connection_errors, *connection.channel_errors) as error:
            raise StartError(f"{name}: the server cannot be used: {error}") from None
        for queue in QueueName:
            _queue(connection, queue.value)


def _queue(connection: Connection, queue: str) -> None:
    try:
        difference = rabbitmq.difference(connection, queue)
    except connection.channel_errors as error:
        name, remedy = environment_name("broker_url"), "delete it, or stop what uses it"
        if isinstance(error, PreconditionFailed):
            name, remedy = environment_name("queue_type"), "choose the type that the broker has"
        elif isinstance(error, AccessRefused):
            remedy = "let this user configure it, or declare it as another"
        raise StartError(
            f"{name}: the queue {queue} cannot be used: {error.reply_text}: {remedy}"
        ) from None
    if difference:
        logger.warning("The queue %s is used as it was declared: %s", queue, difference)


def _result_backend(settings: Settings) -> None:
    _connect("CELERY_RESULT_BACKEND", settings.result_backend.get_secret_value(), settings)


def _connect(name: str, url: str, settings: Settings) -> None:
    options: dict[str, object] = {}
    if (scheme := url.partition(":")[0]) in RESULT_SCHEMES:
        options = {
            "socket_timeout": SOCKET_TIMEOUT,
            "socket_connect_timeout": SOCKET_TIMEOUT,
        }
    if scheme == SENTINEL:
        options |= sentinel_options(settings)
    with Connection(url, connect_timeout=SOCKET_TIMEOUT, transport_options=options) as connection:
        try:
            connection.connect()
            connection.default_channel.close()
        except (*connection.recoverable_connection_errors, OSError) as error:
            message = f"{name}: the server cannot be used: {type(error).__name__}: {error}"
            if "auth" in str(error).lower() or "password" in str(error).lower():
                raise StartError(message) from None
            raise _UnavailableError(message) from None
