"""Publishing of dead letters through kombu, for brokers other than Redis."""

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.errors import Problem
from worker.dead_letters.document import document_of
from worker.declared_queues import DEAD_LETTERS


def send(  # noqa: PLR0913 - two of Celery's, and what is known of the message
    app: Any,  # noqa: ANN401 - Celery and kombu have no types
    message: Any,  # noqa: ANN401 - the same
    reason: str,
    *,
    queue: str | None = None,
    task_id: str | None = None,
    problems: Sequence[Problem] = (),
) -> None:
    """Publish a message to the dead-letter queue; return when the broker has confirmed it.

    For brokers other than Redis, on which :func:`letter_of_raw` preserves the raw message. RabbitMQ
    confirms a message once it is on disk, and confirms none while it is short of memory, for any
    length of time. If an error is raised, the message is unacknowledged: it may become a dead
    letter twice, but is not lost.

    Parameters
    ----------
    queue
        The queue it came from; None if its routing key is the queue.
    """
    letter = document_of(message, reason, queue=queue, task_id=task_id, problems=problems)
    try:
        _send(app, letter)
    except app.connection_for_write().channel_errors:
        # The queue was deleted after this connection declared it; a retry declares it again.
        _send(app, letter)


def _send(app: Any, letter: Mapping[str, Any]) -> None:  # noqa: ANN401 - Celery has no types
    with app.producer_pool.acquire(block=True) as producer:
        producer.publish(
            letter,
            routing_key=DEAD_LETTERS.routing_key,
            exchange="",
            declare=[DEAD_LETTERS],
            serializer="json",
            # Without it RabbitMQ confirms and drops a message for a deleted queue.
            mandatory=True,
            retry=True,
            retry_policy={"max_retries": 3, "interval_start": 0, "interval_max": 1},
        )
