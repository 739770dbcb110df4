"""Remote control: messages are checked before Celery obeys them, and their values are not logged.

Celery decodes broadcasts apart from tasks, and would end the worker or lose its connection over
some: see :mod:`worker.envelope.commands`.
"""

import logging
from collections.abc import Mapping
from typing import Any

from celery.app import control
from kombu import pidbox

from worker import envelope
from worker.node.refusals import error_location

logger = logging.getLogger(__name__)


class Node(pidbox.Node):  # type: ignore[misc]  # kombu ships no types
    """The mailbox of this worker."""

    def handle_message(self, body: Any, message: Any = None) -> Any:  # noqa: ANN401 - kombu's arguments
        """Run the command in a message, or refuse it, with the reason as the reply."""
        state = self.state
        problem = envelope.command_problem(body, self.handlers, state.app.tasks)
        if problem is None and body["method"] == "pool_shrink":
            problem = _emptied(state.consumer.pool, body.get("arguments") or {})
        if problem is None:
            if message is not None and not envelope.is_clock(message.headers.get("clock")):
                message.headers["clock"] = 0
            return super().handle_message(body, message)
        logger.warning("A remote control message is refused: %s", problem)
        if (address := envelope.reply_address(body)) is not None:
            self.reply({self.hostname: {"error": problem}}, ticket=body.get("ticket"), **address)
        return None

    def handle(self, method: str, arguments: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - a command's reply
        """Run a command; its error is a reply."""
        try:
            return super().handle(method, arguments)
        except Exception as error:  # noqa: BLE001 - kombu would log the message's values
            logger.warning(
                "The remote control command %s failed: %s", method, error_location(error)
            )
            return {"error": repr(error)}


class Mailbox(pidbox.Mailbox):  # type: ignore[misc]  # kombu ships no types
    """A mailbox of such nodes."""

    node_cls = Node


class Control(control.Control):  # type: ignore[misc]  # Celery ships no types
    """Celery's remote control with this module's mailbox."""

    Mailbox = Mailbox


def _emptied(pool: Any, arguments: Mapping[str, Any]) -> str | None:  # noqa: ANN401 - Celery ships no types
    if arguments.get("n", 1) < pool.num_processes:
        return None
    return "arguments.n: expected fewer than the processes of the pool"
