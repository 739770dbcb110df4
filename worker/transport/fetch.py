"""Waiting for messages, taking them, and delivering them to the consumers of a channel."""

import contextlib
import itertools
import logging
import time
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import redis
from kombu.transport import redis as kombu_redis

from worker.transport.held import ENOUGH_BYTES
from worker.transport.peek import Peek

if TYPE_CHECKING:
    from worker.transport.held import Taken

logger = logging.getLogger(__name__)

PEEK_SECONDS: Final = 1.0
"""Timeout of the blocking peek at the first list while it is empty: so soon a silent server, which
all peeks have in common, is noticed."""
RARE_PEEK_SECONDS: Final = 10.0
"""Timeout of the other peeks: each timeout wakes an idle process and costs a round trip."""
GIVEN_UP_SECONDS: Final = 0.5
"""After a queue was cancelled: the server has noticed the closed connection by then."""
CROWDED_SECONDS: Final = 0.001
"""A faster reply means that messages were waiting already: a round trip and an iteration of the
event loop take less; a producer that waits for an answer before it sends again takes longer."""
RELEASE_SECONDS: Final = 0.01
"""How long finished messages are collected before they are released on the server. If the process
dies before, they are delivered again, and a write is answered from its idempotency record."""
REFUSED_SECONDS: Final = 0.5
"""Pause before a server that refuses writes is asked again."""
TURN_SECONDS: Final = 0.001
"""Maximum sleep of the event loop between two turns when something is left for the second."""
STEP_SECONDS: Final = 0.05
"""Maximum time that refused or delayed messages, which need no process, block the event loop."""
MOST_TAKEN: Final = 100
"""Maximum number of messages in one reply, even if the prefetch count allows more."""


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
        self._arms_later = False
        self._timer: Any = None
        self._undelivered: deque[Taken] = deque()

    def add(self, queue: str) -> None:
        """Start taking messages of a queue."""
        if queue not in self._queues:
            self._queues.append(queue)
            self._may_have_more = True

    def remove(self, queue: str) -> None:
        """Stop taking messages of a queue."""
        if queue in self._queues:
            self._queues.remove(queue)
        peeks = [self._peeks.pop(key) for key in list(self._peeks) if key[0] == queue]
        may_have_taken = any(peek.takes for peek in peeks)
        for peek in peeks:
            self._drop(peek)
        if may_have_taken and self._channel.hub is not None:
            self._channel.hub.call_later(GIVEN_UP_SECONDS, self._put_back_given_up)

    def close(self) -> None:
        """Close the connections of the peeks."""
        for key in list(self._peeks):
            self._drop(self._peeks.pop(key))

    def owns(self, fileno: int) -> bool:
        """Return whether a file descriptor belongs to a peek."""
        return fileno in self._by_fileno

    @property
    def filenos(self) -> list[int]:
        """Sockets of the peeks, which become readable when a message arrives."""
        return list(self._by_fileno)

    def on_readable(self, fileno: int) -> None:
        """Read the reply of a peek, and deliver the messages in it."""
        try:
            arrival = self._by_fileno[fileno].read()
            if arrival.taken is not None:
                self._receive(arrival.taken)
        except redis.ResponseError as error:
            self._refuse(error)
            return
        if arrival.taken is None:
            # Without a message: check all lists regularly, whatever the peeks report.
            is_due = time.monotonic() - self._looked > PEEK_SECONDS
            self._may_have_more = self._may_have_more or arrival.is_there or is_due
        elif arrival.taken and (arrival.waited < CROWDED_SECONDS or arrival.taken[0].moved):
            # A fast reply: others are waiting too. After a slow one the next peek is enough.
            self._may_have_more = True
        if arrival.taken and self._channel.hub is not None:
            # Celery writes the job to its process at the end of the loop's next turn. Waiting for
            # more begins in the turn after that, since it wakes the server, which delays the job.
            self._arms_later = True
            self._channel.hub.call_later(TURN_SECONDS, _do_nothing)

    def step(self) -> bool:
        """Take up to the prefetch count, then wait for more; return whether messages came."""
        now = time.monotonic()
        if now < self._refused_until or not (self._queues or self._channel.holder.has_released):
            return False
        self._check_peeks(now)
        came = False
        try:
            self._deliver()
            room = self._room_now()
            # Refused and delayed messages leave none in hand, and the event loop would sleep.
            while room >= self._enough() and time.monotonic() - now < STEP_SECONDS:
                came = self._take(room, now) or came
                room = self._room_now()
            if room or self._channel.holder.has_released:
                self.schedule_flush()
            if self._arms_later:
                self._arms_later = False
            elif not self._may_have_more or room >= self._enough():
                self._arm()
        except redis.ResponseError as error:
            self._refuse(error)
        return came

    def flush(self) -> None:
        """Release finished messages on the server, and take up to the prefetch count."""
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
        """Schedule the release of finished messages; a take before that releases them too."""
        if self._channel.closed:
            return  # the next channel releases them
        if self._channel.hub is None:
            self.flush()
        elif self._timer is None:
            self._timer = self._channel.hub.call_later(RELEASE_SECONDS, self.flush)

    def _room_now(self) -> int:
        return self._room() if self._may_have_more else 0

    def _room(self) -> int:
        """Return how many more messages the prefetch count allows."""
        qos = self._channel.qos
        if not self._queues or not qos.can_consume():
            return 0
        room = qos.can_consume_max_estimate()
        return MOST_TAKEN if room is None else min(room, MOST_TAKEN)

    def _enough(self) -> int:
        """Return the room from which on messages are taken at once; with less, by the next flush.

        Half of the prefetch count, so that a busy worker asks rarely. Fewer are taken too, only a
        little later, as all messages in hand may run for hours while other processes are idle.
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
        size = sum(len(each.raw) + each.moved for each in taken)
        self._may_have_more = len(taken) == room or size > ENOUGH_BYTES
        self._receive(taken)
        return bool(taken)

    def _receive(self, taken: "list[Taken]") -> None:
        self._accepted()
        for each in taken:
            if not each.moved:
                self._channel.holder.add(each, self._channel)
        self._undelivered.extend(taken)
        self._deliver()

    def _deliver(self) -> None:
        """Deliver taken messages; one whose delay the server refuses is tried again."""
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
        # One connection per list: Redis has no command that waits on several without popping.
        for priority, queue in itertools.product(steps, self._queues):
            peek = self._peeks.get((queue, priority))
            is_first = priority == steps[0]
            if peek is None:
                peek = Peek(
                    channel.pool,
                    channel.holder,
                    channel.key_of(queue, priority),
                    self._lists([queue]),
                )
                self._peeks[queue, priority] = peek
            if not (peek.is_armed or peek.is_resting):
                seconds = PEEK_SECONDS if peek is self._first_peek else RARE_PEEK_SECONDS
                peek.arm(seconds, takes=is_first and room > 0 and not self._may_have_more)
                room -= is_first
                fileno = peek.socket.fileno()
                if self._by_fileno.get(fileno) is not peek:
                    self._by_fileno[fileno] = peek
                    channel.connection.cycle.poller.register(
                        fileno, kombu_redis.MultiChannelPoller.eventflags
                    )

    @property
    def _first_peek(self) -> Peek | None:
        return next(iter(self._peeks.values()), None)

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

    def _put_back_given_up(self) -> None:
        """Put back messages that the server took before it noticed that a peek was abandoned."""
        if not self._channel.closed:
            with contextlib.suppress(redis.RedisError):  # the next look is ten seconds later
                self._channel.put_back_unknown()

    def _refuse(self, error: redis.ResponseError) -> None:
        """Pause: the server is full, read-only, lacks replicas, or denies permission."""
        if not self._is_refused:
            logger.error("The broker refuses to give messages, trying again: %s", error)
        self._is_refused = True
        self._may_have_more = True
        self._refused_until = time.monotonic() + REFUSED_SECONDS
        if self._channel.hub is not None:
            # Wakes the event loop at that time.
            self._channel.hub.call_later(REFUSED_SECONDS, _do_nothing)
        self._channel.on_refused_writes(error)

    def _accepted(self) -> None:
        if self._is_refused:
            logger.warning("The broker gives messages again")
            self._is_refused = False


def _do_nothing() -> None:
    """Wake the event loop."""
