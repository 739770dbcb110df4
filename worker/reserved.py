"""Reserved messages: taken by a consumer and not done yet, or delayed until their time."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from kombu import Connection

from db.errors import OperationError
from worker.transport.held import Keys
from worker.transport.inspection import Inspection


def is_told(connection: Connection) -> bool:
    """Tell whether the broker says who holds which message."""
    return bool(connection.transport.driver_type == "redis")


@contextmanager
def inspected(connection: Connection) -> Iterator[Inspection]:
    """Yield what the consumers of a broker hold.

    Raises
    ------
    OperationError
        ``not_redis``: RabbitMQ knows it, but tells only its own management.
    """
    if not is_told(connection):
        raise OperationError(
            "not_redis",
            "this broker does not say who holds which message",
            "ask RabbitMQ: rabbitmqctl list_queues name messages_unacknowledged consumers",
        )
    channel = connection.channel()
    try:
        client = redis.Redis(connection_pool=channel.pool)
        yield Inspection(client, Keys(channel.global_keyprefix))
    finally:
        channel.close()
