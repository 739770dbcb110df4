"""Reserved messages: held by a consumer and not finished, or delayed until their ETA."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from kombu import Connection

from db.errors import OperationError
from worker.transport.held import Keys
from worker.transport.inspection import Inspection


def records_holders(connection: Connection) -> bool:
    """Return whether the broker records the holder of each message."""
    return bool(connection.transport.driver_type == "redis")


@contextmanager
def inspected(connection: Connection) -> Iterator[Inspection]:
    """Yield an inspection of the messages that consumers hold.

    Raises
    ------
    OperationError
        ``not_redis``: RabbitMQ shows this only in its own management.
    """
    if not records_holders(connection):
        raise OperationError(
            "not_redis",
            "this broker does not show which consumer holds a message",
            "use rabbitmqctl list_queues name messages_unacknowledged consumers",
        )
    channel = connection.channel()
    try:
        client = redis.Redis(connection_pool=channel.pool)
        yield Inspection(client, Keys(channel.global_keyprefix))
    finally:
        channel.close()
