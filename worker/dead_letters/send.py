"""Dead letters of brokers other than Redis, sent by kombu."""

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
    """Put a delivered message on the queue of dead letters; return once the broker has it.

    For brokers other than Redis, where :func:`letter_of_raw` has more of the message. RabbitMQ
    confirms a message once it is on disk, and none while it is short of memory, which may take any
    time; whatever is raised, the message was not acknowledged and may be a dead letter twice, but
    is not lost.

    Parameters
    ----------
    queue
        The queue it came from; None: as its routing key says.
    """
    letter = document_of(message, reason, queue=queue, task_id=task_id, problems=problems)
    try:
        _send(app, letter)
    except app.connection_for_write().channel_errors:
        # The queue was deleted since this connection has declared it; the next one declares it.
        _send(app, letter)


def _send(app: Any, letter: Mapping[str, Any]) -> None:  # noqa: ANN401 - Celery has no types
    with app.producer_pool.acquire(block=True) as producer:
        producer.publish(
            letter,
            routing_key=DEAD_LETTERS.routing_key,
            exchange="",
            declare=[DEAD_LETTERS],
            serializer="json",
            # RabbitMQ confirms what it drops, such as a message for a queue that was deleted.
            mandatory=True,
            retry=True,
            retry_policy={"max_retries": 3, "interval_start": 0, "interval_max": 1},
        )
