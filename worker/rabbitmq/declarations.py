"""Declaration of queues: existing ones are used unchanged, missing ones are created."""

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
    """Settings for missing queues.

    Attributes
    ----------
    queue_type
        ``classic`` declares without arguments, as Celery's producers do by default.
    delivery_limit
        Delivery limit of quorum queues.
    """

    queue_type: QueueType
    delivery_limit: int

    def arguments(self, queue: str, version: tuple[int, ...]) -> dict[str, Any]:
        """Return the arguments of a queue on a broker of this version."""
        if self.queue_type == "classic":
            return {}
        if queue == QueueName.DEAD_LETTERS.value:
            # Reading dead letters requeues them, which counts as a return. RabbitMQ 4 drops a
            # message after 20 returns by default; older versions have no limit and refuse -1
            # (https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling).
            unlimited = {"x-delivery-limit": -1} if version >= _UNLIMITED_SINCE else {}
            return {"x-queue-type": "quorum", **unlimited}
        return {
            "x-queue-type": "quorum",
            "x-delivery-limit": self.delivery_limit,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": QueueName.DEAD_LETTERS.value,
            # The message stays in its queue until the dead-letter queue has confirmed it. The
            # strategy requires x-overflow, which has no effect without a length limit.
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }


def declare(connection: Any, queue: str) -> Any:  # noqa: ANN401 - py-amqp ships no types
    """Create a queue if it is missing; return the broker's ``queue_declare_ok``.

    Parameters
    ----------
    connection
        Connection of py-amqp.

    Raises
    ------
    amqp.exceptions.ChannelError
        The queue is missing and cannot be created, or is exclusive to another connection.
    """
    result, _ = _declared(connection, queue)
    return result


def difference(connection: Connection, queue: str) -> str:
    """Create a queue if it is missing; return how an existing one differs, empty if it does not.

    The text is the broker's, which names the first differing argument with both values.
    """
    _, reply_text = _declared(connection.connection, queue)
    return reply_text


def queue_counts(connection: Connection, queue: str) -> tuple[int, int]:
    """Return how many ready messages and consumers a queue has; a missing one has none."""
    # A separate channel: RabbitMQ closes a channel that asks for a missing queue.
    channel = connection.channel()
    try:
        declared = channel.queue_declare(queue=queue, passive=True)
    except connection.channel_errors:
        return 0, 0
    finally:
        channel.close()
    return int(declared.message_count), int(declared.consumer_count)


def _declared(connection: Any, queue: str) -> tuple[Any, str]:  # noqa: ANN401 - py-amqp ships no types
    arguments = connection.declaration.arguments(queue, connection.version)
    # On a separate channel: a refusal closes the channel with all its consumers.
    with connection.channel() as channel:
        try:
            created = channel.declare_queue(queue, arguments=arguments)
        except (PreconditionFailed, AccessRefused) as refused:
            try:
                return channel.declare_queue(queue, passive=True), str(refused.reply_text)
            except NotFound:
                raise refused from None
        return created, ""
