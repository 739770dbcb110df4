"""Queues: used as they are, and created where they are missing."""

from dataclasses import dataclass
from typing import Any, Final

from amqp.exceptions import AccessRefused, NotFound, PreconditionFailed
from kombu import Connection

from worker.queues import QueueName
from worker.settings import QueueType

SERVICE_QUEUES: Final = frozenset(queue.value for queue in QueueName)
_UNLIMITED_SINCE: Final = (4, 0)


@dataclass(frozen=True, slots=True)
class Declaration:
    """How missing queues are created.

    Attributes
    ----------
    queue_type
        ``classic`` declares without arguments, as producers do that use Celery as it comes.
    delivery_limit
        Of quorum queues.
    """

    queue_type: QueueType
    delivery_limit: int

    def arguments(self, queue: str, version: tuple[int, ...]) -> dict[str, Any]:
        """Return the arguments of a queue on a broker of this version."""
        if self.queue_type == "classic":
            return {}
        if queue == QueueName.DEAD_LETTERS.value:
            # Looking at dead letters puts them back, which counts. RabbitMQ 4 drops a message that
            # came back 20 times unless told otherwise; older ones have no limit and refuse -1
            # (https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling).
            unlimited = {"x-delivery-limit": -1} if version >= _UNLIMITED_SINCE else {}
            return {"x-queue-type": "quorum", **unlimited}
        return {
            "x-queue-type": "quorum",
            "x-delivery-limit": self.delivery_limit,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": QueueName.DEAD_LETTERS.value,
            # The message stays in its queue until the queue of dead letters has confirmed it;
            # the strategy needs this overflow behaviour, which without a length limit does nothing.
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }


def declare(connection: Any, queue: str) -> Any:  # noqa: ANN401 - py-amqp ships no types
    """Create a queue if it is missing; return what the broker says of it.

    Parameters
    ----------
    connection
        Of py-amqp.

    Raises
    ------
    amqp.exceptions.ChannelError
        The queue is not there and cannot be created, or only another connection may use it.
    """
    found, _ = _declared(connection, queue)
    return found


def difference(connection: Connection, queue: str) -> str:
    """Do as :func:`declare`; return how a queue differs that was declared with other arguments.

    In the broker's words, which name the first argument that differs with both its values.
    """
    _, found = _declared(connection.connection, queue)
    return found


def _declared(connection: Any, queue: str) -> tuple[Any, str]:  # noqa: ANN401 - py-amqp ships no types
    arguments = connection.declaration.arguments(queue, connection.version)
    # On a channel of its own: a refusal closes the channel, with the consumers that it has.
    with connection.channel() as channel:
        try:
            created = channel.declare_queue(queue, arguments=arguments)
        except (PreconditionFailed, AccessRefused) as refused:
            try:
                return channel.declare_queue(queue, passive=True), str(refused.reply_text)
            except NotFound:
                raise refused from None
        return created, ""
