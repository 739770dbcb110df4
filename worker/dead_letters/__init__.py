"""Dead letters: messages that cannot be worked on, stored unchanged on a queue of their own.

A dead letter is a message of kombu, so that any of its consumers can read the queue. Its body is a
JSON object:

``reason``, ``problems``, ``task_id``
    Why the message is here: the sentence, what was found in detail, and the id that an answer was
    stored under, if there was one.
``kept_at``
    When it became a dead letter.
``queue``, ``list``
    Where it came from: the queue and, on Redis, the list of its priority.
``raw``
    On Redis: the entry of the list, byte for byte, in base64. A replay puts it back.
``headers``, ``properties``, ``content_type``, ``content_encoding``, ``delivery_info``, ``body``
    What could be read of it, ``body`` in base64. On RabbitMQ a replay is made from these.
"""

from worker.dead_letters.document import letter_of_raw, parts_of
from worker.dead_letters.letter import DeadLetter
from worker.dead_letters.operations import (
    Figures,
    browsed,
    discard,
    figures,
    find,
    ids,
    letters,
    prune,
    replay,
    report_dropped,
)
from worker.dead_letters.send import send

__all__ = [
    "DeadLetter",
    "Figures",
    "browsed",
    "discard",
    "figures",
    "find",
    "ids",
    "letter_of_raw",
    "letters",
    "parts_of",
    "prune",
    "replay",
    "report_dropped",
    "send",
]
