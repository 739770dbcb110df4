"""How many messages each queue has on the broker, those included that workers hold.

The length of a queue alone misses what workers have reserved ahead: with a few slow messages it is
0 although dozens wait.
"""

from datetime import UTC, datetime

from kombu import Connection

from tasks.broker import Backlog, DeadLetterFigures
from tasks.messages.report import QueueFigures
from worker import dead_letters
from worker.queues import QueueName
from worker.reserved import inspected, is_told


def backlog(connection: Connection) -> Backlog | None:
    """Return the figures of every queue of the contract, or None when the broker does not answer.

    Parameters
    ----------
    connection
        To the broker; it is closed.
    """
    with connection:
        try:
            queues = _of_redis(connection) if is_told(connection) else _of_others(connection)
            return Backlog(queues, _letters(connection))
        except connection.connection_errors:
            return None


def _of_redis(connection: Connection) -> dict[str, QueueFigures]:
    names = [queue.value for queue in QueueName]
    with inspected(connection) as inspection:
        ready, held = inspection.waiting(names), inspection.held()
        delayed = inspection.postponed()
    return {
        name: QueueFigures(ready=ready[name], reserved=held[name], delayed=delayed[name])
        for name in names
    }


def _of_others(connection: Connection) -> dict[str, QueueFigures]:
    return {
        queue.value: QueueFigures(
            ready=_ready(connection, queue.value), reserved=None, delayed=None
        )
        for queue in QueueName
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


def _letters(connection: Connection) -> DeadLetterFigures:
    found = dead_letters.figures(connection)
    age = None
    if found.oldest is not None:
        age = max(0.0, (datetime.now(UTC) - found.oldest).total_seconds())
    return DeadLetterFigures(
        count=found.count, size=found.size, oldest_age_seconds=age, dropped=found.dropped
    )
