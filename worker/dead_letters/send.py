"""Publishing of dead letters through kombu, for brokers other than Redis."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from kombu.utils.json import dumps

from tasks.errors import Problem
from worker.dead_letters.document import as_bytes, completed, document_of
from worker.declared_queues import DEAD_LETTERS

LARGE_BYTES: Final = 1024 * 1024
"""Size of a body over which the letter is the message itself, with its document as a header. In the
document it would be a third larger, and RabbitMQ refuses messages over ``max_message_size``."""
DOCUMENT: Final = "x-dead-letter-document"
"""Header with the document of a letter that is the message itself."""

MOST_TEXT: Final = 64 * 1024
"""Size of a document over which the message's headers are not part of it: all headers together have
to fit into a frame of AMQP, of 128 KiB."""


def send(
    app: Any,  # noqa: ANN401 - Celery and kombu have no types
    message: Any,  # noqa: ANN401 - the same
    reason: str,
    *,
    task_id: str | None = None,
    problems: Sequence[Problem] = (),
) -> None:
    """Publish a message to the dead-letter queue; return when the broker has confirmed it.

    For brokers other than Redis, on which :func:`letter_of_raw` preserves the raw message. RabbitMQ
    confirms a message once it is on disk, and confirms none while it is short of memory, for any
    length of time. If an error is raised, the message is unacknowledged: it may become a dead
    letter twice, but is not lost.
    """
    document = document_of(message, reason, task_id=task_id, problems=problems)
    body = as_bytes(message.body)
    if len(body) > LARGE_BYTES:
        text = dumps(document)
        headers = {DOCUMENT: text}
        if len(text) > MOST_TEXT:
            sent = document.pop("headers")
            headers = {**sent, DOCUMENT: dumps(document)}
        publish = partial(_send, app, body, headers=headers, content_encoding="binary")
    else:
        publish = partial(_send, app, completed(document, body), serializer="json")
    try:
        publish()
    except app.connection_for_write().channel_errors:
        # The queue was deleted after this connection declared it; a retry declares it again.
        publish()


def _send(app: Any, letter: object, **options: Any) -> None:  # noqa: ANN401 - Celery has no types
    with app.producer_pool.acquire(block=True) as producer:
        producer.publish(
            letter,
            routing_key=DEAD_LETTERS.routing_key,
            exchange="",
            declare=[DEAD_LETTERS],
            # Without it RabbitMQ confirms and drops a message for a deleted queue.
            mandatory=True,
            retry=True,
            retry_policy={"max_retries": 3, "interval_start": 0, "interval_max": 1},
            **options,
        )
