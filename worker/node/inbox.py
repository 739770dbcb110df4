"""What becomes of a message before Celery takes it: admitted, delayed, or refused.

The envelope is checked before anything decodes the message. What is refused is answered and kept as
a dead letter; see :mod:`worker.node.refusals`.
"""

import logging
import time
from collections.abc import Callable
from typing import Any, Final

from tasks.errors import InvalidMessage, PoisonMessage
from worker import envelope, rabbitmq, transport
from worker.node.refusals import SERVER_ERRORS, Refusals, place_of
from worker.node.refused import Refused

logger = logging.getLogger(__name__)

EARLY_SECONDS: Final = 0.05
"""How much too early a message with an ETA may be: its way to a process takes as long."""

Handle = Callable[[Any], Any]


class Inbox:
    """Checks the messages of one consumer.

    Parameters
    ----------
    rules
        What a message may be.
    refusals
        Takes those that are refused.
    most_deliveries
        How often a message is given to a worker that dies with it.
    """

    def __init__(
        self, rules: envelope.Rules, refusals: Refusals, most_deliveries: int = 20
    ) -> None:
        self._rules = rules
        self._refusals = refusals
        self._most_deliveries = most_deliveries

    def admit(self, channel: transport.Channel, taken: transport.Taken) -> dict[str, Any] | None:
        """Return a message of Redis for kombu; None for one that is refused or not due yet."""
        found = envelope.read(taken.raw, self._rules, channel.queue_of(taken.list))
        if isinstance(found, envelope.Refusal):
            self._refusals.add(_refused(found, channel, taken.tag))
            return None
        if taken.deliveries >= self._most_deliveries:
            self._refusals.add(_poisonous(taken.deliveries, found.id, channel, taken.tag))
            return None
        if found.eta is not None and (seconds := found.eta - time.time()) > EARLY_SECONDS:
            channel.delay(taken.tag, seconds)
            return None
        return found.payload | {"decoded": found.content}

    def check(self, handle: Handle, message: Any) -> Any:  # noqa: ANN401 - kombu's message
        """Handle a message of another broker, of which kombu has the parts, or refuse it."""
        sent = message.headers
        # What the broker has added is not the producer's, and Celery would send it along.
        headers = rabbitmq.without_broker_headers(sent) if isinstance(sent, dict) else sent
        parts = envelope.Parts(
            headers,
            message.properties,
            message.body,
            message.content_type,
            message.content_encoding,
        )
        found = envelope.check(parts, self._rules)
        if isinstance(found, envelope.Refusal):
            self._refusals.add(_refused(found, message.channel, message.delivery_tag, message))
            return None
        # A queue that counts deliveries drops a message that comes back once more.
        returns = rabbitmq.deliveries(sent, message.delivery_info)
        if returns >= self._most_deliveries:
            poisonous = _poisonous(
                returns, found.id, message.channel, message.delivery_tag, message
            )
            self._refusals.add(poisonous)
            return None
        message.headers = found.payload["headers"]
        message.properties = found.payload["properties"]
        message.body = found.body
        message.content_encoding = found.payload["content-encoding"]
        return self.handle(handle, message)

    def refuse_compressed(self, message: Any) -> None:  # noqa: ANN401 - kombu's message
        """Refuse a message of another broker that kombu could not unpack."""
        headers = rabbitmq.without_broker_headers(message.headers)
        parts = envelope.Parts(headers, message.properties, b"[[], {}, {}]", "application/json")
        found = envelope.check(parts, self._rules)
        if isinstance(found, envelope.Refusal):
            refused = _refused(found, message.channel, message.delivery_tag, message)
            self._refusals.add(refused)

    def handle(self, handle: Handle, message: Any) -> Any:  # noqa: ANN401 - kombu's message
        """Have Celery take a message that was admitted; whatever it raises, the message ends."""
        message.refusals = self._refusals
        try:
            return handle(message)
        except SERVER_ERRORS as error:
            # It is revoked or has expired, and that could not be stored.
            logger.warning("A message is put back: %s", place_of(error))
            message.reject_log_error(logger, SERVER_ERRORS, requeue=True)
        except Exception as error:  # noqa: BLE001 - whatever it is, the message must end
            place = place_of(error)
            logger.error("Celery could not take a message: %s", place)  # noqa: TRY400 - its words may hold values
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
    error = PoisonMessage.of(reason, [{"path": "", "type": "poison", "message": reason}])
    return Refused(channel, tag, error.code, reason, task_id, error, error.details, message)


def _refused(
    found: envelope.Refusal,
    channel: Any,  # noqa: ANN401 - kombu ships no types
    tag: str,
    message: Any = None,  # noqa: ANN401 - the same
) -> Refused:
    return Refused(
        channel=channel,
        tag=tag,
        kind=found.kind,
        reason=found.reason,
        task_id=found.task_id,
        error=found.error(),
        problems=found.problems,
        message=message,
    )
