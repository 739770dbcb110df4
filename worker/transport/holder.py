"""What this process holds on a broker, whatever becomes of its connections."""

import hashlib
import logging
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from typing import Any, Final

import redis

from worker.transport.held import MOST_AT_ONCE, HeldMessages, Keys, Renewal, Taken

logger = logging.getLogger(__name__)

RENEW_SECONDS: Final = 0.8
"""Between two renewals of a lease: five fit into a lease, so four may be late or fail."""
LATE_SECONDS: Final = 2 * RENEW_SECONDS
"""A renewal later than this says that the server, the network or this process stood still. Other
consumers may have stood still too, so nobody is swept for the time of one lease after it."""


class Holder:
    """The messages in hand of this process, and the lease on them.

    Tags outlive a connection: a message that was taken over a lost one is released over the next.

    Attributes
    ----------
    name
        ``node/random``: no other process has or will have it.
    in_hand
        What was delivered and is not done, by tag, with the channel that it was delivered on.
    is_connected
        Whether a connection was made and :meth:`close` was not called since.
    """

    def __init__(self, node: str, keys: Keys) -> None:
        self.name = f"{node}/{secrets.token_hex(4)}"
        self.keys = keys
        self.in_hand: dict[str, tuple[Taken, Any]] = {}
        self._released: deque[str] = deque()
        self._returned: deque[str] = deque()
        self._redelivered: set[str] = set()
        self._expected: set[str] = set()
        self._channels: set[Any] = set()
        self._pid = os.getpid()
        self._lease: Lease | None = None
        self._held: HeldMessages | None = None
        self.is_connected = False

    @property
    def is_mine(self) -> bool:
        """Whether this is the process that made it, and not a child."""
        return self._pid == os.getpid()

    @property
    def held(self) -> HeldMessages:
        """The messages on the server, over the newest connection."""
        if self._held is None or not self.is_connected:
            raise redis.ConnectionError("there is no connection to the broker")
        return self._held

    @property
    def has_released(self) -> bool:
        """Whether finished messages are still recorded as held on the server."""
        return bool(self._released or self._returned)

    @property
    def next_due(self) -> float | None:
        """When a delayed message is due, by ``time.monotonic()``."""
        return None if self._lease is None else self._lease.next_due

    def connect(
        self,
        channel: Any,  # noqa: ANN401 - kombu ships no types
        client: redis.Redis,
        make_client: Callable[[], redis.Redis],
    ) -> None:
        """Use a new connection: put back what is held without being in hand, and keep the lease.

        Parameters
        ----------
        channel
            Uses the connection, until it calls :meth:`leave`.
        client
            Used by the caller's thread from now on.
        make_client
            Returns one for the thread that renews the lease.
        """
        self._channels = {each for each in self._channels if not each.closed} | {channel}
        if self._held is None:
            self._held = HeldMessages(client, self.keys, self.name)
        else:
            self._held.use(client)
        self.is_connected = True
        self._held.renew(sweeps=False)
        self.release_all()
        self.put_back_unknown()
        if self._lease is None:
            self._lease = Lease(HeldMessages(make_client(), self.keys, self.name))
            self._lease.start()
        else:
            replaced = self._lease.held.client
            self._lease.held.use(make_client())
            replaced.close()

    def add(self, taken: Taken, channel: Any) -> None:  # noqa: ANN401 - kombu ships no types
        """Note a message that is delivered."""
        self.in_hand[taken.tag] = taken, channel

    def release(self, tag: str) -> None:
        """Note that a message is done; it is released on the server with the next take."""
        known = self.in_hand.pop(tag, None)
        if known is None:
            return
        if known[0].deliveries:
            self._redelivered.add(hashlib.sha1(known[0].raw, usedforsecurity=False).hexdigest())
        self._released.append(tag)

    def give_back(self, tag: str) -> None:
        """Note that a message is not done; the server puts it back after those that wait."""
        if tag in self.in_hand:
            self._returned.append(tag)

    def forget(self, tags: Collection[str]) -> None:
        """Note that messages are in hand no longer: they were put back, delayed or buried."""
        for tag in tags:
            self.in_hand.pop(tag, None)

    def take(self, priorities: list[list[str]], most: int) -> list[Taken]:
        """Release what is done, and take up to ``most`` messages."""
        number = min(len(self._released), MOST_AT_ONCE)
        released = [self._released.popleft() for _ in range(number)]
        try:
            taken = self.held.take(priorities, most, released)
            if self._redelivered:
                self.held.forget_deliveries(self._redelivered)
                self._redelivered.clear()
        except BaseException:
            # Released twice does no harm, not released would have it done again.
            self._released.extendleft(reversed(released))
            raise
        return taken

    def expect(self, priorities: list[list[str]]) -> tuple[list[Any], str]:
        """Return the command that takes one message, and the tag under which it is expected."""
        command, tag = self.held.take_command(priorities)
        self._expected.add(tag)
        return command, tag

    def unexpect(self, tag: str) -> None:
        """Note that a reply was read or given up; the message may be held without being in hand."""
        self._expected.discard(tag)

    def release_all(self) -> None:
        """Release on the server what is done, and put back what was given back."""
        while self._released:
            self.take([], 0)
        if self._returned:
            self.put_back(list(self._returned), is_next=False)
            self._returned.clear()

    def put_back_unknown(self) -> None:
        """Put back what is held without being in hand."""
        if count := self.held.put_back_others([*self.in_hand, *self._expected]):
            logger.warning("Put back %d messages that were not begun", count)

    def put_back(self, tags: Collection[str], *, is_next: bool) -> None:
        """Put messages that are in hand back on their queues."""
        self.held.put_back(tags, is_next=is_next)
        self.forget(tags)

    def leave(self, channel: Any) -> None:  # noqa: ANN401 - kombu ships no types
        """End the lease with the last channel that is closed in good order."""
        self._channels.discard(channel)
        if not self._channels:
            self.close()

    def close(self) -> None:
        """Put everything back and end the lease."""
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.stop()
            lease.held.client.close()
        if not self.is_connected:
            return
        try:
            self.release_all()
            if count := self.held.leave():
                logger.info("Put back %d messages that were not begun", count)
        finally:
            self.in_hand.clear()
            self.is_connected = False


class Lease(threading.Thread):
    """Renews the lease of a consumer, and sweeps what dead consumers have held.

    A thread, since the consumer's own may be busy for as long as a task or a time-out lasts. It
    judges others only after its own renewals have been on time for one lease: after an outage of
    the server all leases have ended, and those who live need the time to renew theirs.
    """

    def __init__(self, held: HeldMessages) -> None:
        super().__init__(name="lease", daemon=True)
        self.held = held
        self.next_due: float | None = None
        self._stop_asked = threading.Event()
        self._on_time_since = time.monotonic()

    def stop(self) -> None:
        """End the thread; the lease runs out."""
        self._stop_asked.set()
        if self.is_alive():
            self.join(timeout=self.held.lease)

    def run(self) -> None:
        """Renew until :meth:`stop` is called."""
        is_failing = False
        last = time.monotonic()
        while not self._stop_asked.wait(RENEW_SECONDS):
            try:
                renewal = self._renew()
            except Exception as error:  # noqa: BLE001 - without a lease all is given away
                # Also a ValueError or an AttributeError: the main thread closes the client that it
                # has replaced, and redis-py is not made for that while another thread reads.
                if not is_failing:
                    logger.warning("The lease on messages is not renewed: %s", error)
                is_failing = True
                self._on_time_since = time.monotonic()
                continue
            if is_failing:
                logger.info("The lease on messages is renewed again")
            is_failing = False
            now = time.monotonic()
            if now - last > LATE_SECONDS:
                self._on_time_since = now
            last = now
            self._report(renewal)

    def _renew(self) -> Renewal:
        now = time.monotonic()
        renewal = self.held.renew(sweeps=now - self._on_time_since > self.held.lease)
        self.next_due = None if renewal.next_due is None else now + renewal.next_due
        return renewal

    def _report(self, renewal: Renewal) -> None:
        if not renewal.was_held:
            logger.warning(
                "The lease of %s had ended: its messages were given to other consumers",
                self.held.consumer,
            )
        for name, count in renewal.swept.items():
            logger.warning("Put back %d messages of %s, which is dead", count, name)
