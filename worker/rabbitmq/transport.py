"""kombu's AMQP transport with lossless publishing, and prefetch that ignores waiting messages."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from amqp import spec
from amqp.exceptions import RecoverableChannelError
from kombu import transport
from kombu.transport import pyamqp
from kombu.utils.text import version_string_as_tuple

from worker.rabbitmq.declarations import SERVICE_QUEUES, Declaration, declare
from worker.rabbitmq.frames import tolerant_frame_handler
from worker.rabbitmq.prefetch import Window
from worker.settings import QueueType

_UNCONFIRMED: Final = frozenset({"celeryev", "reply.celery.pidbox"})
"""Exchanges of events and of replies to remote control."""


class NoRouteError(RecoverableChannelError):  # type: ignore[misc]  # py-amqp ships no types
    """A message was published to a missing queue."""


class _Subscription:
    """The consumers of a queue that are one consumer to kombu.

    ``subscribe`` starts one with the given consumer tag.
    """

    def __init__(
        self, queue: str, tag: str, count: int, subscribe: Callable[[str], object]
    ) -> None:
        self.queue = queue
        self.window = Window(count)
        self.window.open(tag)
        self.subscribe = subscribe


class Channel(pyamqp.Channel):  # type: ignore[misc]  # kombu ships no types
    """A channel that uses existing queues unchanged, and raises if a message is not routed."""

    def __init__(
        self,
        connection: Any,  # noqa: ANN401 - py-amqp ships no types
        channel_id: int | None = None,
        auto_decode: bool = False,  # noqa: ARG002, FBT001, FBT002 - py-amqp's signature
        on_open: Any = None,  # noqa: ANN401 - py-amqp ships no types
    ) -> None:
        # py-amqp would decode bodies by their content encoding, so that a dead letter would differ
        # from the message that its producer sent.
        super().__init__(connection, channel_id, auto_decode=False, on_open=on_open)
        self._forget_consumers()
        self._prefetch = 0

    def queue_declare(
        self,
        queue: str = "",
        passive: bool = False,  # noqa: FBT001, FBT002 - kombu's signature
        **options: Any,  # noqa: ANN401 - kombu's options
    ) -> Any:  # noqa: ANN401 - py-amqp ships no types
        """Declare a queue; a queue of this service only if it is missing."""
        if passive or queue not in SERVICE_QUEUES:
            return super().queue_declare(queue=queue, passive=passive, **options)
        return declare(self.connection, queue)

    def declare_queue(
        self, queue: str, *, passive: bool = False, arguments: dict[str, Any] | None = None
    ) -> Any:  # noqa: ANN401 - py-amqp ships no types
        """Declare a durable queue with exactly these arguments."""
        return super().queue_declare(
            queue=queue, passive=passive, durable=True, auto_delete=False, arguments=arguments
        )

    def basic_publish_confirm(
        self,
        msg: Any,  # noqa: ANN401 - py-amqp ships no types
        exchange: str = "",
        routing_key: str = "",
        **options: Any,  # noqa: ANN401 - py-amqp's options
    ) -> Any:  # noqa: ANN401 - py-amqp ships no types
        """Publish a message; return when the broker has confirmed it.

        Raises
        ------
        NoRouteError
            The queue is missing. A retry declares it.
        """
        if exchange in _UNCONFIRMED:
            options.pop("confirm_timeout", None)
            return self._basic_publish(msg, exchange, routing_key, **options)
        if exchange:
            return super().basic_publish_confirm(msg, exchange, routing_key, **options)
        options["mandatory"] = True
        if self._is_routed(msg, routing_key, options):
            return None
        if routing_key in SERVICE_QUEUES:
            declare(self.connection, routing_key)
            if self._is_routed(msg, routing_key, options):
                return None
        self.connection.client.declared_entities.clear()
        raise NoRouteError(f"queue {routing_key} does not exist", reply_code=312)

    def basic_qos(
        self,
        prefetch_size: int,
        prefetch_count: int,
        a_global: bool,  # noqa: FBT001 - py-amqp's signature
        **options: Any,  # noqa: ANN401 - py-amqp's options
    ) -> None:
        """Set the prefetch count of consumers that start later.

        Ignored while there are consumers: Celery would raise it for each message that waits for its
        ETA, which :meth:`_widen` replaces.
        """
        if not self._subscriptions:
            super().basic_qos(prefetch_size, prefetch_count, a_global, **options)
            self._prefetch = prefetch_count

    def basic_consume(
        self,
        queue: str = "",
        consumer_tag: str = "",
        callback: Any = None,  # noqa: ANN401 - py-amqp ships no types
        **options: Any,  # noqa: ANN401 - py-amqp's options
    ) -> Any:  # noqa: ANN401 - py-amqp ships no types
        """Consume a queue."""
        consume = partial(super().basic_consume, queue)
        if queue not in SERVICE_QUEUES or options.get("no_ack") or not consumer_tag:
            return consume(consumer_tag, callback=callback, **options)

        def delivered(message: Any) -> None:  # noqa: ANN401 - py-amqp ships no types
            headers = message.properties.get("application_headers")
            has_eta = isinstance(headers, dict) and headers.get("eta") is not None
            consumer = message.delivery_info["consumer_tag"]
            subscription.window.add(message.delivery_tag, consumer, has_eta=has_eta)
            self._unsettled[message.delivery_tag] = subscription
            callback(message)
            self._widen(subscription)

        again = options | {"nowait": True}
        subscription = _Subscription(
            queue, consumer_tag, self._prefetch, partial(consume, callback=delivered, **again)
        )
        self._subscriptions[consumer_tag] = subscription
        return consume(consumer_tag, callback=delivered, **options)

    def basic_cancel(self, consumer_tag: str, **options: Any) -> Any:  # noqa: ANN401 - py-amqp's
        """Stop consuming."""
        subscription = self._subscriptions.pop(consumer_tag, None)
        *others, last = [consumer_tag] if subscription is None else subscription.window.consumers
        for tag in others:
            super().basic_cancel(tag, **options)
        return super().basic_cancel(last, **options)

    def basic_ack(self, delivery_tag: int, **options: Any) -> Any:  # noqa: ANN401 - py-amqp's
        """Acknowledge a message."""
        done = super().basic_ack(delivery_tag, **options)
        self._settled(delivery_tag)
        return done

    def basic_reject(self, delivery_tag: int, requeue: bool, **options: Any) -> Any:  # noqa: ANN401, FBT001 - py-amqp's
        """Reject a message."""
        done = super().basic_reject(delivery_tag, requeue, **options)
        self._settled(delivery_tag)
        return done

    def set_aside(self, delivery_tag: int) -> None:
        """Exclude an unsettled message from the prefetch count."""
        subscription = self._unsettled.get(delivery_tag)
        if subscription is not None:
            subscription.window.set_aside(delivery_tag)
            self._widen(subscription)

    def collect(self) -> None:
        """Forget everything: the channel is closed."""
        super().collect()
        self._forget_consumers()

    def _on_close(self, *arguments: Any) -> None:  # noqa: ANN401 - py-amqp's arguments
        """Close, as the broker asks.

        A broker that closes the channel at the same time as this side sends no other reply, for
        which py-amqp would wait until the connection is lost.
        """
        super()._on_close(*arguments)
        if self.is_closing and (waiting := self._pending.pop(spec.Channel.CloseOk, None)):
            waiting(spec.Channel.CloseOk)

    def _do_revive(self) -> None:
        self._forget_consumers()
        super()._do_revive()

    def _forget_consumers(self) -> None:
        self._subscriptions: dict[str, _Subscription] = {}
        self._unsettled: dict[int, _Subscription] = {}
        self._tags = itertools.count(1)

    def _settled(self, delivery_tag: int) -> None:
        subscription = self._unsettled.pop(delivery_tag, None)
        if subscription is not None:
            subscription.window.remove(delivery_tag)
            self._widen(subscription)

    def _widen(self, subscription: _Subscription) -> None:
        """Add a consumer if waiting messages use up the prefetch count; cancel needless ones."""
        if subscription not in self._subscriptions.values():
            return
        window = subscription.window
        if window.is_narrow:
            tag = f"{subscription.queue}-{next(self._tags)}"
            window.open(tag)
            subscription.subscribe(tag)
        for tag in window.close_dispensable():
            # Without waiting for the reply: py-amqp forgets the tag when it arrives, which is
            # after the last message to that consumer.
            self.send_method(spec.Basic.Cancel, "sb", (tag, False))

    def _is_routed(self, message: Any, queue: str, options: dict[str, Any]) -> bool:  # noqa: ANN401 - py-amqp ships no types
        returned = _Returned()
        # Without a handler py-amqp raises, and leaves the confirmation in its buffer.
        self.events["basic_return"].add(returned)
        try:
            super().basic_publish_confirm(message, "", queue, **options)
        finally:
            self.events["basic_return"].discard(returned)
        return not returned.was_called


class _Returned:
    """Handler of returned messages that records whether it was called."""

    was_called = False

    def __call__(self, *_: object) -> None:
        self.was_called = True


class Connection(pyamqp.Connection):  # type: ignore[misc]  # kombu ships no types
    """A connection with the declaration of missing queues, from its transport options."""

    Channel = Channel

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401 - py-amqp's arguments
        queue_type: QueueType = "classic",
        delivery_limit: int = 20,
        **options: Any,  # noqa: ANN401 - py-amqp's options
    ) -> None:
        self.declaration = Declaration(queue_type, delivery_limit)
        super().__init__(*arguments, frame_handler=tolerant_frame_handler, **options)

    @property
    def version(self) -> tuple[int, ...]:
        """The broker's version."""
        return tuple(version_string_as_tuple(str(self.server_properties.get("version", "0")))[:2])


class Transport(pyamqp.Transport):  # type: ignore[misc]  # kombu ships no types
    """Transport of ``amqp://``."""

    Connection = Connection

    def qos_semantics_matches_spec(self, connection: Any) -> bool:  # noqa: ANN401, ARG002 - kombu's signature
        """Return True, so that Celery sets the prefetch count per consumer.

        Quorum queues refuse a count for the whole channel (540 NOT_IMPLEMENTED), and RabbitMQ 4 has
        removed it.
        """
        return True


class SSLTransport(Transport, pyamqp.SSLTransport):  # type: ignore[misc]  # kombu ships no types
    """Transport of ``amqps://``."""


ALIASES: Final = {
    "amqp": f"{__name__}:Transport",
    "pyamqp": f"{__name__}:Transport",
    "amqps": f"{__name__}:SSLTransport",
}


def register() -> None:
    """Register these transports with kombu, for this process."""
    transport.TRANSPORT_ALIASES.update(ALIASES)
