"""How messages are waited for, taken and delivered to the consumers of a channel."""

import itertools
import logging
import time
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import redis
from kombu.transport import redis as kombu_redis
from redis.exceptions import NoScriptError

if TYPE_CHECKING:
    from worker.transport.held import Taken
    from worker.transport.holder import Holder

logger = logging.getLogger(__name__)

PEEK_SECONDS: Final = 1.0
"""How long the server holds a blocking look at an empty list of the first priority."""
RARE_PEEK_SECONDS: Final = 5.0
"""The same of other priorities, which few producers use: a look costs both sides its answer."""
CROWDED_SECONDS: Final = 0.001
"""An answer sooner than this means that messages waited already: a round trip and a turn of the
event loop take less, a producer that waits for one answer before it sends the next takes longer."""
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
    """Waits for a message on a list: BLMOVE from its end to its end changes and loses nothing.

    The script that takes a message can be sent with it, to be run by the server when the wait is
    over. So an idle consumer has a message without asking once more.

    Parameters
    ----------
    key
        The list.
    seconds
        How long the server waits.
    priorities
        The lists of its queue, from which a message is taken.
    """

    def __init__(
        self,
        pool: redis.ConnectionPool,
        holder: "Holder",
        key: str,
        seconds: float,
        priorities: list[list[str]],
    ) -> None:
        self._pool = pool
        self._holder = holder
        self._key = key
        self._seconds = seconds
        self._priorities = priorities
        self._connection = pool.get_connection()
        self._sent: float | None = None
        self._expected: str | None = None

    @property
    def is_armed(self) -> bool:
        """Whether an answer is awaited."""
        return self._sent is not None

    @property
    def takes(self) -> bool:
        """Whether the answer may be a message."""
        return self._expected is not None

    @property
    def socket(self) -> Any:  # noqa: ANN401 - redis-py's socket
        """The socket that becomes readable."""
        return self._connection._sock  # noqa: SLF001 - see private_names.txt

    def arm(self, *, takes: bool) -> None:
        """Ask the server."""
        commands: list[Any] = [("BLMOVE", self._key, self._key, "RIGHT", "RIGHT", self._seconds)]
        if takes:
            command, self._expected = self._holder.expect(self._priorities)
            commands.append(command)
        self._connection.send_packed_command(self._connection.pack_commands(commands))  # type: ignore[no-untyped-call]
        self._sent = time.monotonic()

    def read(self) -> "Arrival":
        """Read the answer."""
        waited = time.monotonic() - (self._sent or 0.0)
        self._sent = None
        taken: list[Taken] | None = None
        try:
            replies = [self._read()]
            if self.takes:
                replies.append(self._read())
                if not isinstance(replies[1], redis.ResponseError):
                    taken = self._holder.held.read(replies[1])
        finally:
            self._give_up()
        if not taken:
            for reply in replies:
                # A server that was restarted knows no script; the next take teaches it.
                if isinstance(reply, redis.ResponseError) and not isinstance(reply, NoScriptError):
                    raise reply
        return Arrival(replies[0] is not None, taken, waited)

    def is_overdue(self, now: float, timeout: float) -> bool:
        """Tell whether the server owes an answer for longer than ``timeout`` seconds."""
        return self._sent is not None and now - self._sent > self._seconds + timeout

    def close(self) -> None:
        """Give up the answer and the connection."""
        self._sent = None
        self._give_up()
        self._connection.disconnect()  # type: ignore[no-untyped-call]
        self._pool.release(self._connection)

    def _read(self) -> Any:  # noqa: ANN401 - any reply
        """Return the next reply, also one that is an error: there may be one more to read."""
        try:
            return self._connection.read_response()
        except redis.ResponseError as error:
            return error

    def _give_up(self) -> None:
        if self._expected is not None:
            self._holder.unexpect(self._expected)
            self._expected = None


class Arrival(NamedTuple):
    """The answer to a peek.

    Attributes
    ----------
    is_there
        Whether there was a message on the list.
    taken
        What was taken; None if nothing was asked to be.
    waited
        Seconds since the server was asked.
    """

    is_there: bool
    taken: list["Taken"] | None
    waited: float


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
        try:
            arrival = self._by_fileno[fileno].read()
            if arrival.taken is not None:
                self._receive(arrival.taken)
        except redis.ResponseError as error:
            self._refuse(error)
            return
        if arrival.taken is None:
            # Without a message: now and then all lists are looked at, whatever the peeks say.
            is_due = time.monotonic() - self._looked > PEEK_SECONDS
            self._may_have_more = self._may_have_more or arrival.is_there or is_due
        elif arrival.taken and arrival.waited < CROWDED_SECONDS:
            # One that came alone is on its way to a process before the server is asked again.
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
        taken = channel.holder.take(self._lists(self._queues), room)
        self._looked = now
        self._may_have_more = len(taken) == room
        self._receive(taken)
        return bool(taken)

    def _receive(self, taken: "list[Taken]") -> None:
        self._accepted()
        for each in taken:
            self._channel.holder.add(each, self._channel)
        self._undelivered.extend(taken)
        self._deliver()

    def _deliver(self) -> None:
        """Deliver what was taken; one that the server refuses to delay is delivered again."""
        while self._undelivered:
            self._channel.deliver(self._undelivered[0])
            self._undelivered.popleft()
        if self._channel.on_delivered is not None:
            self._channel.on_delivered()

    def _lists(self, queues: Iterable[str]) -> list[list[str]]:
        """Return the lists of queues, for each priority."""
        channel = self._channel
        return [
            [channel._q_for_pri(queue, priority) for queue in queues]  # noqa: SLF001 - see private_names.txt
            for priority in channel.priority_steps
        ]

    def _arm(self) -> None:
        channel = self._channel
        room = self._room() - sum(peek.takes for peek in self._peeks.values())
        steps = channel.priority_steps
        # A connection for each list: no command waits on several without taking from one.
        for priority, queue in itertools.product(steps, self._queues):
            peek = self._peeks.get((queue, priority))
            is_first = priority == steps[0]
            if peek is None:
                peek = Peek(
                    channel.pool,
                    channel.holder,
                    channel.key_of(queue, priority),
                    PEEK_SECONDS if is_first else RARE_PEEK_SECONDS,
                    self._lists([queue]),
                )
                self._peeks[queue, priority] = peek
            if not peek.is_armed:
                peek.arm(takes=is_first and room > 0 and not self._may_have_more)
                room -= is_first
                fileno = peek.socket.fileno()
                if self._by_fileno.get(fileno) is not peek:
                    self._by_fileno[fileno] = peek
                    channel.connection.cycle.poller.register(
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
