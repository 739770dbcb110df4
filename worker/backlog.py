"""Number of messages of each queue, including those that workers have reserved.

The length of a queue alone misses reserved messages: with a few slow tasks it is 0 although dozens
of messages wait.
"""

from kombu import Connection

from tasks.broker import Backlog
from tasks.messages.report import BrokerFigures, QueueFigures
from worker import dead_letters
from worker.queues import QueueName
from worker.rabbitmq import queue_counts
from worker.reserved import inspected, records_holders
from worker.unconsumed import unconsumed


def backlog(connection: Connection, *, everywhere: bool = False) -> Backlog | None:
    """Return the figures of every queue of the contract, or None when the broker does not answer.

    Parameters
    ----------
    connection
        To the broker; it is closed.
    everywhere
        Also find queues that no worker consumes, which takes a second if there may be some.
    """
    with connection:
        try:
            queues = (
                _of_redis(connection) if records_holders(connection) else _of_others(connection)
            )
            idle = unconsumed(connection) if everywhere else None
            return Backlog(queues, dead_letters.figures(connection), idle)
        except connection.connection_errors:
            return None


def broker_figures(connection: Connection) -> BrokerFigures:
    """Return the figures of the broker for metrics.

    Raises
    ------
    ConnectionError
        It does not answer.
    """
    figures = backlog(connection)
    if figures is None:
        raise ConnectionError("the broker does not answer")
    letters = figures.dead_letters
    return BrokerFigures(
        queues=dict(figures.queues),
        dead_letters=letters.count,
        dead_letters_bytes=letters.size,
        dead_letters_oldest_age_seconds=letters.oldest_age_seconds,
        dead_letters_dropped=letters.dropped,
    )


def _of_redis(connection: Connection) -> dict[str, QueueFigures]:
    names = [queue.value for queue in QueueName]
    with inspected(connection) as inspection:
        ready, held = inspection.waiting(names), inspection.held().counts
        delayed = inspection.postponed()
    return {
        name: QueueFigures(ready=ready[name], reserved=held[name], delayed=delayed[name])
        for name in names
    }


def _of_others(connection: Connection) -> dict[str, QueueFigures]:
    return {
        queue.value: QueueFigures(
            ready=queue_counts(connection, queue.value)[0], reserved=None, delayed=None
        )
        for queue in QueueName
    }
