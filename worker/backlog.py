"""How many messages each queue has on the broker, those included that workers hold.

The length of a queue alone misses what workers have reserved ahead: with a few slow messages it is
0 although dozens wait.
"""

from collections import Counter
from typing import Any, Final

from kombu import Connection

from tasks.messages.report import QueueFigures
from worker.queues import QueueName

# kombu keeps what was taken and is not acknowledged in one hash, each as the JSON of message,
# exchange and routing key. Only the ends are looked at, and nothing of it leaves the server.
_RESERVED: Final = """
local counts = {}
for _, tag in ipairs(redis.call('HKEYS', KEYS[1])) do
    local taken = redis.call('HGET', KEYS[1], tag)
    local queue = taken and string.match(string.sub(taken, -300), '"([^"]*)"%]$')
    if queue then counts[queue] = (counts[queue] or 0) + 1 end
end
local found = {}
for queue, count in pairs(counts) do
    found[#found + 1] = queue
    found[#found + 1] = count
end
return found
"""


def backlog(connection: Connection) -> dict[str, QueueFigures] | None:
    """Return the figures of every queue of the contract, or None when the broker does not answer.

    Parameters
    ----------
    connection
        To the broker; it is closed.
    """
    with connection:
        try:
            ready = {queue.value: _ready(connection, queue.value) for queue in QueueName}
            reserved = _reserved(connection)
        except connection.connection_errors:
            return None
    return {
        queue: QueueFigures(ready=count, reserved=None if reserved is None else reserved[queue])
        for queue, count in ready.items()
    }


def _ready(connection: Connection, queue: str) -> int:
    # A channel of its own: RabbitMQ closes the one that asks for a queue that is not there.
    channel = connection.channel()
    try:
        return int(channel.queue_declare(queue=queue, passive=True).message_count)
    except connection.channel_errors:
        return 0
    finally:
        channel.close()


def _reserved(connection: Connection) -> Counter[str] | None:
    if connection.transport.driver_type != "redis":
        return None
    channel = connection.channel()
    try:
        found: list[Any] = channel.client.eval(_RESERVED, 1, channel.unacked_key)
    finally:
        channel.close()
    names = [name.decode() if isinstance(name, bytes) else str(name) for name in found[::2]]
    return Counter(dict(zip(names, map(int, found[1::2]), strict=True)))
