"""Publishing of dead letters to RabbitMQ by a separate thread.

While RabbitMQ is short of memory or disk, it confirms nothing and blocks connections that publish.
The main process must go on, since it consumes the messages that fill that memory. A bad message
stays unacknowledged until its dead letter is confirmed.
"""

import logging
import queue
import threading
import time
from typing import Any, Final

from amqp.exceptions import AMQPError
from kombu.exceptions import OperationalError

from worker import dead_letters, rabbitmq
from worker.node.refused import Refused

logger = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 1.0
"""Pause before an answer or a dead letter is sent again."""
SET_ASIDE_SECONDS: Final = 2.0
"""How long a message whose dead letter is unconfirmed counts towards the prefetch count. If it
counted for longer, bad messages would block the good ones after them."""
ERRORS: Final = (OSError, OperationalError, AMQPError)
"""Errors of kombu and py-amqp for a failed request to the broker."""


class LetterSender:
    """Sends the dead letters of one consumer, one after the other.

    A letter is sent again only if its connection was lost. A new connection for each attempt would
    leave a copy in the socket of the previous one, and a broker that recovers reads them all.
    """

    def __init__(self, app: Any, hub: Any) -> None:  # noqa: ANN401 - Celery and kombu have no types
        self._app = app
        self._hub = hub
        self._waiting: queue.SimpleQueue[tuple[int, Refused]] = queue.SimpleQueue()
        self._connection = 0
        self._thread: threading.Thread | None = None

    def add(self, refused: Refused) -> None:
        """Send the letter of a message, then acknowledge it."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="dead letters", daemon=True)
            self._thread.start()
        self._waiting.put((self._connection, refused))
        if self._hub is not None:
            self._hub.call_later(SET_ASIDE_SECONDS, self._set_aside, self._connection, refused)

    def clear(self) -> None:
        """Drop all waiting letters: the connection is lost, and their messages are redelivered."""
        self._connection += 1

    def _run(self) -> None:
        while True:
            connection, refused = self._waiting.get()
            is_failing = False
            while connection == self._connection:
                try:
                    self._send(refused)
                except Exception as error:  # noqa: BLE001 - a message in hand would wait for good
                    if not is_failing:
                        words = str(error) if isinstance(error, ERRORS) else type(error).__name__
                        logger.warning("A dead letter waits for the broker: %s", words)
                    is_failing = True
                    time.sleep(AGAIN_SECONDS)
                else:
                    # Only the thread of the consumer uses its connection.
                    if self._hub is None:
                        self._acknowledge(connection, refused)
                    else:
                        self._hub.call_soon(self._acknowledge, connection, refused)
                    break

    def _send(self, refused: Refused) -> None:
        dead_letters.send(
            self._app,
            refused.message,
            refused.description,
            task_id=refused.task_id,
            problems=refused.problems,
        )

    def _acknowledge(self, connection: int, refused: Refused) -> None:
        if connection == self._connection:
            refused.message.ack_log_error(logger, ERRORS)

    def _set_aside(self, connection: int, refused: Refused) -> None:
        is_waiting = connection == self._connection and not refused.message.acknowledged
        if is_waiting and isinstance(refused.channel, rabbitmq.Channel):
            refused.channel.set_aside(refused.message.delivery_tag)
