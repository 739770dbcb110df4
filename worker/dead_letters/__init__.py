"""Dead letters: messages that cannot be processed, stored unchanged on the dead-letter queue.

A dead letter is a kombu message, so that any kombu consumer can read the queue. Its body is a JSON
object:

``reason``, ``problems``, ``task_id``
    Why the message was refused: a sentence, all problems, and the task id that the answer was
    stored under, if there was one.
``kept_at``
    When it became a dead letter.
``queue``, ``list``
    The queue that it came from and, on Redis, the list of its priority.
``raw``
    On Redis: the entry of the list, byte for byte, in base64. A replay puts it back.
``headers``, ``properties``, ``content_type``, ``content_encoding``, ``delivery_info``, ``body``
    The readable parts of the message, ``body`` in base64. On RabbitMQ a replay is built from these.
"""

from worker.dead_letters.document import letter_of_raw, parts_of
from worker.dead_letters.letter import DeadLetter
from worker.dead_letters.operations import (
    browsed,
    discard,
    figures,
    find,
    ids,
    prune,
    replay,
    report_dropped,
)
from worker.dead_letters.send import send

__all__ = [
    "DeadLetter",
    "browsed",
    "discard",
    "figures",
    "find",
    "ids",
    "letter_of_raw",
    "parts_of",
    "prune",
    "replay",
    "report_dropped",
    "send",
]
