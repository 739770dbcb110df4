"""Admission of messages: each is passed to Celery, delayed, or refused.

The envelope is checked before anything decodes the message (:mod:`worker.envelope`). A refused
message is answered and becomes a dead letter (:mod:`worker.node.refusals`).
"""

import logging
import time
from collections.abc import Callable
from typing import Any, Final

from tasks.errors import InvalidMessage, PoisonMessage
from worker import envelope, rabbitmq, transport
from worker.node.refusals import SERVER_ERRORS, Refusals, error_location
from worker.node.refused import Refused

logger = logging.getLogger(__name__)

EARLY_SECONDS: Final = 0.05
"""How long before its ETA a message may be admitted: it takes as long to reach a process."""

Handle = Callable[[Any], Any]


class Inbox:
    """Checks the messages of one consumer.

    Parameters
    ----------
    rules
        Limits of a message and its allowed names.
    refusals
        Receives the refused messages.
    most_deliveries
        Number of workers that may die while they hold a message, before it is refused.
    """

    def __init__(
        self, rules: envelope.Rules, refusals: Refusals, most_deliveries: int = 20
    ) -> None:
        self._rules = rules
        self._refusals = refusals
        self._most_deliveries = most_deliveries

    def admit(self, channel: transport.Channel, taken: transport.Taken) -> dict[str, Any] | None:
        """Return a message of Redis for kombu; None if it is refused or not due yet."""
        if taken.moved:
            refusal = envelope.oversize(taken.moved, taken.raw, self._rules)
            self._refusals.add(_refused(refusal, channel, taken.tag))
            return None
        checked = envelope.read(taken.raw, self._rules, channel.queue_of(taken.list))
        if isinstance(checked, envelope.Refusal):
            self._refusals.add(_refused(checked, channel, taken.tag))
            return None
        if taken.deliveries >= self._most_deliveries:
            self._refusals.add(_poisonous(taken.deliveries, checked.id, channel, taken.tag))
            return None
        if checked.eta is not None and (seconds := checked.eta - time.time()) > EARLY_SECONDS:
            channel.delay(taken.tag, seconds)
            return None
        return checked.payload | {"decoded": checked.content}

    def check(self, handle: Handle, message: Any) -> Any:  # noqa: ANN401 - kombu's message
        """Pass a message of another broker than Redis to Celery, or refuse it."""
        sent = message.headers
        # The broker's headers are not the producer's; Celery would send them with retries.
        headers = rabbitmq.without_broker_headers(sent) if isinstance(sent, dict) else sent
        parts = envelope.Parts(
            headers,
            message.properties,
            message.body,
            message.content_type,
            message.content_encoding,
        )
        checked = envelope.check(parts, self._rules)
        if isinstance(checked, envelope.Refusal):
            self._refusals.add(_refused(checked, message.channel, message.delivery_tag, message))
            return None
        # A queue with a delivery limit would drop the message at its next return.
        returns = rabbitmq.deliveries(sent, message.delivery_info)
        if returns >= self._most_deliveries:
            poisonous = _poisonous(
                returns, checked.id, message.channel, message.delivery_tag, message
            )
            self._refusals.add(poisonous)
            return None
        message.headers = checked.payload["headers"]
        message.properties = checked.payload["properties"]
        message.body = checked.body
        message.content_encoding = checked.payload["content-encoding"]
        return self.handle(handle, message)

    def refuse_compressed(self, message: Any) -> None:  # noqa: ANN401 - kombu's message
        """Refuse a message of another broker that kombu could not unpack."""
        headers = rabbitmq.without_broker_headers(message.headers)
        parts = envelope.Parts(headers, message.properties, b"[[], {}, {}]", "application/json")
        checked = envelope.check(parts, self._rules)
        if isinstance(checked, envelope.Refusal):
            refused = _refused(checked, message.channel, message.delivery_tag, message)
            self._refusals.add(refused)

    def handle(self, handle: Handle, message: Any) -> Any:  # noqa: ANN401 - kombu's message
        """Pass an admitted message to Celery; requeue or refuse it if that raises."""
        message.refusals = self._refusals
        try:
            return handle(message)
        except SERVER_ERRORS as error:
            # The message is revoked or expired, and that state could not be stored.
            logger.warning("A message is requeued: %s", error_location(error))
            message.reject_log_error(logger, SERVER_ERRORS, requeue=True)
        except Exception as error:  # noqa: BLE001 - whatever it is, the message must end
            place = error_location(error)
            logger.error("Celery could not take a message: %s", place)  # noqa: TRY400 - its message may hold values
            reason = f"Celery could not take it: {type(error).__name__}"
            refusal = envelope.Refusal(
                InvalidMessage.code, "failed", reason, [], message.headers.get("id")
            )
            tag = message.delivery_tag
            self._refusals.add(_refused(refusal, message.channel, tag, message))
        return None


def _poisonous(
    deliveries: int,
    task_id: str,
    channel: Any,  # noqa: ANN401 - kombu ships no types
    tag: str,
    message: Any = None,  # noqa: ANN401 - the same
) -> Refused:
    reason = f"{deliveries} workers died while they held the message"
    error = PoisonMessage.at("", "poison", reason)
    return Refused(channel, tag, error.code, reason, task_id, error, error.details, message)


def _refused(
    refusal: envelope.Refusal,
    channel: Any,  # noqa: ANN401 - kombu ships no types
    tag: str,
    message: Any = None,  # noqa: ANN401 - the same
) -> Refused:
    return Refused(
        channel=channel,
        tag=tag,
        kind=refusal.kind,
        reason=refusal.reason,
        task_id=refusal.task_id,
        error=refusal.error(),
        problems=refusal.problems,
        message=message,
    )
