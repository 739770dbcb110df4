"""kombu's Redis channel, with messages that the server records as held until they are finished."""

import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson
import redis
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual
from redis.backoff import NoBackoff
from redis.retry import Retry

from worker.transport import holders, legacy
from worker.transport.fetch import Fetcher
from worker.transport.held import MOST_ENTRY_BYTES, Bounds, Taken, has_other_type
from worker.transport.holder import Holder

logger = logging.getLogger(__name__)

Gate = Callable[[Taken], dict[str, Any] | None]
"""Returns a message in kombu's format, or None for one that it has refused or delayed."""

OPTIONS: Final = ("node", "most_bytes")
"""Transport options of this package: the name of the Celery node, and the size of the largest entry
that may be a message."""


class QoS(virtual.QoS):  # type: ignore[misc]  # kombu ships no types
    """Messages in hand, through the interface of kombu and Celery."""

    restore_at_shutdown = False  # the channel puts back what it has delivered

    def append(self, message: Any, delivery_tag: str) -> None:  # noqa: ANN401 - kombu's message
        """Do nothing: a delivered message is in hand already."""

    def can_consume(self) -> bool:
        """Return whether the prefetch count allows one more message."""
        return not self.prefetch_count or len(self._in_hand) < self.prefetch_count

    def can_consume_max_estimate(self) -> int | None:
        """Return how many messages the prefetch count allows, None for any number."""
        if not self.prefetch_count:
            return None
        room: int = self.prefetch_count - len(self._in_hand)
        return max(0, room)

    def ack(self, delivery_tag: str) -> None:
        """Release a message."""
        self.channel.holder.release(delivery_tag)
        self.channel.fetcher.schedule_flush()

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's signature
        """Release a message, or put it back after the waiting ones."""
        if requeue:
            self.channel.holder.give_back(delivery_tag)
            self.channel.fetcher.schedule_flush()
        else:
            self.ack(delivery_tag)

    def restore_unacked(self, client: object = None) -> None:  # noqa: ARG002 - kombu's signature
        """Put back the unfinished messages that were delivered on this channel."""
        self.channel.put_back_delivered()

    @property
    def _in_hand(self) -> dict[str, Any]:
        in_hand: dict[str, Any] = self.channel.holder.in_hand
        return in_hand


class Message(virtual.Message):  # type: ignore[misc]  # kombu ships no types
    """A message whose body the gate has decoded."""

    def __init__(self, payload: dict[str, Any], channel: Any = None, **options: Any) -> None:  # noqa: ANN401 - kombu's arguments
        super().__init__(payload, channel, **options)
        self._decoded_cache = payload.get("decoded")


class Channel(kombu_redis.Channel):  # type: ignore[misc]  # kombu ships no types
    """A channel whose messages are always on their queue or recorded as held.

    Consumers without acknowledgement (of replies to ``inspect``, for example) and of fanout
    exchanges use kombu's own code.
    """

    QoS = QoS
    Message = Message
    node: str = ""
    most_bytes: int = 0
    max_connections = 100  # one for each list that is waited on
    from_transport_options = (*kombu_redis.Channel.from_transport_options, *OPTIONS)

    def __init__(self, connection: Any, **options: Any) -> None:  # noqa: ANN401 - kombu's arguments
        self.fetcher = Fetcher(self)
        self.gate: Gate | None = None
        self.on_delivered: Callable[[], None] | None = None
        self._held_queues: set[str] = set()
        self._holder: Holder | None = None
        self._kept: redis.Redis | None = None
        super().__init__(connection, **options)

    @property
    def holder(self) -> Holder:
        """The holder of this process and broker, connected to this channel at the first use."""
        if self._holder is None or not self._holder.is_mine:
            holder = self._known_holder()
            holder.connect(
                self,
                redis.Redis(connection_pool=self.pool),
                self._client_of_its_own,
            )
            self._holder = holder
        return self._holder

    @property
    def hub(self) -> Any:  # noqa: ANN401 - kombu ships no types
        """The event loop, None for consumers that drain events themselves."""
        return getattr(self.connection, "hub", None)

    @property
    def active_queues(self) -> list[str]:
        """Queues that kombu's own code consumes."""
        return [name for name in super().active_queues if name not in self._held_queues]

    def key_of(self, queue: str, priority: int) -> str:
        """Return the key of a queue's list of a priority."""
        return f"{self.global_keyprefix}{self._q_for_pri(queue, priority)}"

    def queue_of(self, name: str) -> str:
        """Return the queue that a list belongs to."""
        queue: str = name.rsplit(self.sep, 1)[0]
        return queue

    def basic_consume(self, queue: str, no_ack: bool, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401, FBT001 - kombu's arguments
        """Consume from a queue."""
        if not no_ack and queue not in self._fanout_queues:
            self._held_queues.add(queue)
            self.fetcher.add(queue)
        return super().basic_consume(queue, no_ack, *arguments, **options)

    def basic_get(self, queue: str, no_ack: bool = False, **options: Any) -> Any:  # noqa: ANN401, FBT001, FBT002 - kombu's signature
        """Return one message of a queue, which is held until it is acknowledged, or None."""
        if no_ack:
            return super().basic_get(queue, no_ack, **options)
        lists = [[self._q_for_pri(queue, priority)] for priority in self.priority_steps]
        for taken in self.holder.take(lists, 1):
            if taken.moved:
                return None
            self.holder.add(taken, self)
            try:
                payload = decoded(taken)
                payload["properties"]["delivery_tag"] = taken.tag
                return self.Message(payload, channel=self)
            except BaseException:
                self.holder.put_back([taken.tag], is_next=True)
                raise
        return None

    def _size(self, queue: str) -> int:
        """Return how many messages wait; kombu asks when it declares a queue."""
        try:
            return int(super()._size(queue))
        except redis.ResponseError as error:
            if not has_other_type(error):
                raise
            return 0  # the peek reports the key

    def _queue_bind(self, exchange: str, *arguments: Any) -> None:  # noqa: ANN401 - kombu's arguments
        """Bind a queue; a foreign key instead of kombu's bindings is renamed."""
        try:
            super()._queue_bind(exchange, *arguments)
        except redis.ResponseError as error:
            if not has_other_type(error):
                raise
            client = redis.Redis(connection_pool=self.pool)
            for name, kind in (
                (self.keyprefix_queue % exchange, b"set"),
                (self.keyprefix_binding_permanent % exchange, b"set"),
                (self.keyprefix_binding_deadlines, b"zset"),
            ):
                key = f"{self.global_keyprefix}{name}"
                if client.type(key) not in (kind, b"none"):
                    client.rename(key, f"{key}:displaced")
            super()._queue_bind(exchange, *arguments)

    def _receive_one(self, client: Any) -> Any:  # noqa: ANN401 - redis-py's pub/sub client
        """Deliver a broadcast, of remote control or events; drop one that raises an error.

        kombu would log the values of some, and end the event loop with an error over others.
        """
        try:
            response = client.parse_response()
        except self.connection_errors:
            self._in_listen = None
            raise
        if not isinstance(response, list | tuple):
            return None
        payload = self._handle_message(client, response)
        if not payload["type"].endswith(b"message") or not payload["data"]:
            return None
        try:
            topic = payload["channel"].decode()
            name = topic.partition(".")[2] if topic.startswith("/") else topic
            return self._deliver_fanout_message(orjson.loads(payload["data"]), name.split("/")[0])
        except (redis.RedisError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker must continue
            logger.warning("A malformed broadcast is dropped: %s", type(error).__name__)
            return True

    def _basic_cancel(self, consumer_tag: str) -> Any:  # noqa: ANN401 - kombu's
        queue = self._tag_to_queue.get(consumer_tag)
        if queue in self._held_queues:
            self._held_queues.discard(queue)
            self.fetcher.remove(queue)
        return super()._basic_cancel(consumer_tag)

    def deliver(self, taken: Taken) -> None:
        """Hand a message to the consumer of its queue."""
        queue = self.queue_of(taken.list)
        callback = self.connection._callbacks.get(queue)  # noqa: SLF001 - see private_names.txt
        if taken.moved:
            if self.gate is not None:
                self.gate(taken)
            return
        if callback is None:
            self.holder.put_back([taken.tag], is_next=True)
            return
        payload = self.gate(taken) if self.gate is not None else decoded(taken)
        if payload is not None:
            payload["properties"]["delivery_tag"] = taken.tag
            callback(payload)

    def taken(self, tag: str) -> Taken | None:
        """Return a message in hand by its tag, None if it is not in hand."""
        known = self.holder.in_hand.get(tag)
        return None if known is None else known[0]

    def move_to_dead_letters(self, letters: Sequence[tuple[str, bytes]], bounds: Bounds) -> int:
        """Replace messages in hand by dead letters; return how many old letters were dropped."""
        dropped = self.holder.server.move_to_dead_letters(letters, bounds)
        self.holder.forget([tag for tag, _ in letters])
        return dropped

    def delay(self, tag: str, seconds: float) -> None:
        """Move a message in hand to the delayed ones; it is delivered again after ``seconds``."""
        self.holder.server.delay(tag, seconds)
        self.holder.forget([tag])

    def restore_legacy(self) -> None:
        """Put back messages that workers with kombu's own transport have held for too long."""
        if self._held_queues:
            with self.conn_or_acquire() as client:
                before = time.time() - self.visibility_timeout
                legacy.restore(
                    redis.Redis(connection_pool=client.connection_pool),
                    self.global_keyprefix,
                    sorted(self._held_queues),
                    before,
                )

    def put_back_unknown(self) -> None:
        """Put back messages that the server records for this process and that are not in hand.

        The network may deliver a command of a closed connection after its successor has connected.
        The server then records messages for this process of which it has no reply.
        """
        if self._held_queues and self._holder is not None and self._holder.is_mine:
            self._holder.release_all()
            self._holder.put_back_unknown()

    def put_back_delivered(self) -> None:
        """Put back the unfinished messages that were delivered on this channel."""
        tags = [tag for tag, (_, channel) in self.holder.in_hand.items() if channel is self]
        if tags:
            self.holder.put_back(tags, is_next=True)

    def forget_fileno(self, fileno: int) -> None:
        """Remove a socket from the event loop."""
        if self.connection is not None:
            self.connection.cycle.forget_fileno(fileno)

    def on_refused_writes(self, error: redis.ResponseError) -> None:
        """Do nothing: a server that refuses writes is retried."""

    def close(self) -> None:
        """Put back unfinished messages, unless the connection was lost."""
        self.fetcher.close()
        if self._holder is not None and self._holder.is_mine and not self.closed:
            try:
                self._holder.release_all()
                if self.do_restore:
                    self.put_back_delivered()
                    self._holder.leave(self)
            except self.connection_errors:
                pass  # the lease runs out, or the next connection puts them back
        super().close()

    def _client_of_its_own(self) -> redis.Redis:
        """Return a client with its own connections, which are not closed with this channel.

        The thread that renews the lease continues while a lost connection is replaced.
        """
        sentinels: Any = getattr(self, "_sentinel_manager", None)
        pool = self._get_pool()
        self._sentinel_manager = sentinels
        return redis.Redis.from_pool(pool)

    def _known_holder(self) -> Holder:
        client = self.connection.client
        place = tuple(client.alt) or (client.hostname, client.port)
        node = self.node or f"{os.uname().nodename}:{os.getpid()}"
        most_bytes = max(self.most_bytes, MOST_ENTRY_BYTES)
        place = (*place, client.virtual_host)
        return holders.holder_of(place, self.global_keyprefix, node, most_bytes)

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - kombu's signature
        """Return the parameters of connections, without redis-py's own retries.

        A retried script that takes messages would take other ones under the same tags.
        """
        parameters: dict[str, Any] = super()._connparams(asynchronous)
        return parameters | {"retry": Retry(NoBackoff(), 0)}

    def _create_client(self, asynchronous: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - kombu's signature
        # kombu creates a client for each command, and redis-py builds a table for each client.
        if asynchronous:
            return super()._create_client(asynchronous=True)
        if self._kept is None or self._kept.connection_pool is not self.pool:
            self._kept = super()._create_client()
        return self._kept


class SentinelChannel(Channel, kombu_redis.SentinelChannel):  # type: ignore[misc]  # kombu ships no types
    """The same channel, to the primary that sentinels name."""

    from_transport_options = (*kombu_redis.SentinelChannel.from_transport_options, *OPTIONS)

    def on_refused_writes(self, error: redis.ResponseError) -> None:
        """Reconnect through the sentinels if the primary has become a replica."""
        if isinstance(error, redis.ReadOnlyError):
            raise redis.ConnectionError(str(error)) from error


def decoded(taken: Taken) -> dict[str, Any]:
    """Decode a message as kombu's own transport does."""
    payload: dict[str, Any] = kombu_redis.loads(taken.raw.decode())
    return payload
