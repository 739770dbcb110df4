"""How messages are waited for, taken and delivered to the consumers of a channel."""

import itertools
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import redis
from kombu.transport import redis as kombu_redis

if TYPE_CHECKING:
    from worker.transport.held import Taken

logger = logging.getLogger(__name__)

PEEK_SECONDS: Final = 1.0
"""How long the server holds a blocking look at an empty list of the first priority."""
RARE_PEEK_SECONDS: Final = 5.0
"""The same of other priorities, which few producers use: a look costs both sides its answer."""
RELEASE_SECONDS: Final = 0.01
"""How long a finished message waits for others before it is released on the server. If the process
dies meanwhile, it is delivered again, and a write is answered from its idempotency record."""
REFUSED_SECONDS: Final = 0.5
"""Before the next try on a server that refuses writes."""
STEP_SECONDS: Final = 0.05
"""How long messages that need no process, refused or delayed ones, keep the event loop busy."""
MOST_TAKEN: Final = 100
"""Messages in one reply, where the prefetch count allows more."""


class Peek:
    """A blocking look at a list: BLMOVE from its end to its end changes and loses nothing."""

    def __init__(self, pool: redis.ConnectionPool, key: str, seconds: float) -> None:
        self._pool = pool
        self._key = key
        self._seconds = seconds
        self._connection = pool.get_connection()
        self._sent: float | None = None

    @property
    def is_armed(self) -> bool:
        """Whether an answer is awaited."""
        return self._sent is not None

    @property
    def socket(self) -> Any:  # noqa: ANN401 - redis-py's socket
        """The socket that becomes readable."""
        return self._connection._sock  # noqa: SLF001 - see private_names.txt

    def arm(self) -> None:
        """Ask the server."""
        self._connection.send_command(  # type: ignore[no-untyped-call]
            "BLMOVE", self._key, self._key, "RIGHT", "RIGHT", self._seconds
        )
        self._sent = time.monotonic()

    def found(self) -> bool:
        """Read the answer; return whether there is a message."""
        self._sent = None
        return self._connection.read_response() is not None

    def is_overdue(self, now: float, timeout: float) -> bool:
        """Tell whether the server owes an answer for longer than ``timeout`` seconds."""
        return self._sent is not None and now - self._sent > self._seconds + timeout

    def close(self) -> None:
        """Give up the answer and the connection."""
        self._sent = None
        self._connection.disconnect()  # type: ignore[no-untyped-call]
        self._pool.release(self._connection)


class Fetcher:
    """Takes messages for the consumers of one channel, as many as its prefetch count allows."""

    def __init__(self, channel: Any) -> None:  # noqa: ANN401 - a channel of this package
        self._channel = channel
        self._queues: deque[str] = deque()
        self._peeks: dict[tuple[str, int], Peek] = {}
        self._by_fileno: dict[int, Peek] = {}
        self._may_have_more = True
        self._refused_until = 0.0
        self._is_refused = False
        self._looked = 0.0
        self._timer: Any = None
        self._undelivered: deque[Taken] = deque()

    def add(self, queue: str) -> None:
        """Take messages of a queue too."""
        if queue not in self._queues:
            self._queues.append(queue)
            self._may_have_more = True

    def remove(self, queue: str) -> None:
        """Take no more messages of a queue."""
        if queue in self._queues:
            self._queues.remove(queue)
        for key in [key for key in self._peeks if key[0] == queue]:
            self._drop(self._peeks.pop(key))

    def close(self) -> None:
        """Close the connections of the peeks."""
        for key in list(self._peeks):
            self._drop(self._peeks.pop(key))

    def owns(self, fileno: int) -> bool:
        """Tell whether a file descriptor is one of a peek."""
        return fileno in self._by_fileno

    @property
    def filenos(self) -> list[int]:
        """Sockets that become readable when a message comes."""
        return list(self._by_fileno)

    def on_readable(self, fileno: int) -> None:
        """Read the answer of a peek, and take what has come."""
        peek = self._by_fileno[fileno]
        try:
            found = peek.found()
        except redis.ResponseError as error:
            self._refuse(error)
            return
        now = time.monotonic()
        # Without a message: now and then all lists are looked at, whatever the peeks say.
        if found or now - self._looked > PEEK_SECONDS:
            self._may_have_more = True

    def step(self) -> bool:
        """Take what there is room for, and wait for more; return whether messages came."""
        now = time.monotonic()
        if now < self._refused_until or not (self._queues or self._channel.holder.has_released):
            return False
        self._check_peeks(now)
        came = False
        try:
            self._deliver()
            room = self._room_now()
            # What is refused or delayed leaves no message in hand, and the loop would sleep.
            while room >= self._enough() and time.monotonic() - now < STEP_SECONDS:
                came = self._take(room, now) or came
                room = self._room_now()
            if room or self._channel.holder.has_released:
                self.schedule_flush()
            if not self._may_have_more or room >= self._enough():
                self._arm()
        except redis.ResponseError as error:
            self._refuse(error)
        return came

    def flush(self) -> None:
        """Release finished messages on the server, and take what there is room for."""
        self._timer = None
        now = time.monotonic()
        try:
            is_loop = self._channel.hub is not None and now >= self._refused_until
            if is_loop and self._may_have_more and (room := self._room()):
                self._take(room, now)
            self._channel.holder.release_all()
        except redis.ResponseError as error:
            self._refuse(error)

    def schedule_flush(self) -> None:
        """Release finished messages soon, unless a take does it before."""
        if self._channel.closed:
            return  # the next channel does it
        if self._channel.hub is None:
            self.flush()
        elif self._timer is None:
            self._timer = self._channel.hub.call_later(RELEASE_SECONDS, self.flush)

    def _room_now(self) -> int:
        return self._room() if self._may_have_more else 0

    def _room(self) -> int:
        """Return how many messages the prefetch count allows to take now."""
        qos = self._channel.qos
        if not self._queues or not qos.can_consume():
            return 0
        room = qos.can_consume_max_estimate()
        return MOST_TAKEN if room is None else min(room, MOST_TAKEN)

    def _enough(self) -> int:
        """Return for how many messages the server is asked at once; for fewer, soon.

        Half of the prefetch count, so that a busy worker asks rarely. But what is in hand may all
        be with processes, for hours, while others are free.
        """
        if self._channel.hub is None:
            return 1
        half: int = self._channel.qos.prefetch_count // 2
        return min(MOST_TAKEN, max(1, half))

    def _take(self, room: int, now: float) -> bool:
        channel = self._channel
        self._queues.rotate(-1)
        priorities = [
            [channel._q_for_pri(queue, priority) for queue in self._queues]  # noqa: SLF001 - see private_names.txt
            for priority in channel.priority_steps
        ]
        taken = channel.holder.take(priorities, room)
        self._accepted()
        self._looked = now
        self._may_have_more = len(taken) == room
        for each in taken:
            channel.holder.add(each, channel)
        self._undelivered.extend(taken)
        self._deliver()
        return bool(taken)

    def _deliver(self) -> None:
        """Deliver what was taken; one that the server refuses to delay is delivered again."""
        while self._undelivered:
            self._channel.deliver(self._undelivered[0])
            self._undelivered.popleft()
        if self._channel.on_delivered is not None:
            self._channel.on_delivered()

    def _arm(self) -> None:
        # A connection for each list: no command waits on several without taking from one.
        steps = self._channel.priority_steps
        for queue, priority in itertools.product(self._queues, steps):
            peek = self._peeks.get((queue, priority))
            if peek is None:
                seconds = PEEK_SECONDS if priority == steps[0] else RARE_PEEK_SECONDS
                key = self._channel.key_of(queue, priority)
                peek = Peek(self._channel.pool, key, seconds)
                self._peeks[queue, priority] = peek
            if not peek.is_armed:
                peek.arm()
                fileno = peek.socket.fileno()
                if self._by_fileno.get(fileno) is not peek:
                    self._by_fileno[fileno] = peek
                    self._channel.connection.cycle.poller.register(
                        fileno, kombu_redis.MultiChannelPoller.eventflags
                    )

    def _check_peeks(self, now: float) -> None:
        timeout = self._channel.socket_timeout or PEEK_SECONDS
        if any(peek.is_overdue(now, timeout) for peek in self._peeks.values()):
            raise redis.ConnectionError("the broker does not answer")

    def _drop(self, peek: Peek) -> None:
        for fileno, each in list(self._by_fileno.items()):
            if each is peek:
                del self._by_fileno[fileno]
                self._channel.forget_fileno(fileno)
        peek.close()

    def _refuse(self, error: redis.ResponseError) -> None:
        """Wait: the server is full, reads only, misses its replicas, or does not permit it."""
        if not self._is_refused:
            logger.error("The broker refuses to give messages, trying again: %s", error)
        self._is_refused = True
        self._may_have_more = True
        self._refused_until = time.monotonic() + REFUSED_SECONDS
        if self._channel.hub is not None:
            # So that the loop turns then.
            self._channel.hub.call_later(REFUSED_SECONDS, lambda: None)
        self._channel.on_refused_writes(error)

    def _accepted(self) -> None:
        if self._is_refused:
            logger.warning("The broker gives messages again")
            self._is_refused = False
