"""The worker's consumer: a message that no task can take is kept, and its producer told.

Celery's own consumer logs such a message with its body, and lets it go.
"""

import logging
from typing import Any

from celery.worker import consumer

from tasks.errors import InvalidMessage, Problem
from worker import dead_letters

logger = logging.getLogger(__name__)


class Consumer(consumer.Consumer):  # type: ignore[misc]  # Celery ships no types
    """Takes messages from the queues."""

    def on_decode_error(self, message: Any, exc: Exception) -> None:  # noqa: ANN401, ARG002 - Celery's arguments
        """Keep a message whose body cannot be decoded."""
        self._bury(message, "undecodable", "the body is not what content-type says")

    def on_unknown_message(self, body: Any, message: Any) -> None:  # noqa: ANN401, ARG002 - Celery's arguments
        """Keep a message that is no task message."""
        self._bury(message, "unknown_message", "not a task message of Celery's protocol 2")

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ANN401, ARG002 - Celery's arguments
        """Keep a message for a task that this service does not have."""
        self._bury(message, "unknown_task", "there is no task of that name")

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ANN401, ARG002 - Celery's arguments
        """Keep a message whose headers or content type Celery refuses."""
        self._bury(message, "invalid_task", "headers or content type are not Celery's protocol 2")

    def _bury(self, message: Any, kind: str, told: str) -> None:  # noqa: ANN401 - kombu's message
        problem: Problem = {"path": "", "type": kind, "message": told}
        error = InvalidMessage.of(f"the message cannot be worked on: {told}", [problem])
        dead_letters.keep(self.app, message, f"{kind}: {told}")
        task_id = (message.headers or {}).get("id")
        if isinstance(task_id, str) and task_id:
            self.app.backend.store_result(task_id, error, "FAILURE")
        message.ack_log_error(logger, self.connection_errors)
        # An id that is no UUID may be anything.
        logger.error("A message is a dead letter: %s: %s", kind, told)
