"""The messages that this process holds on a broker, across reconnects."""

import hashlib
import logging
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from typing import Any

import redis

from worker.transport.held import (
    LATE_SECONDS,
    MOST_AT_ONCE,
    MOST_ENTRY_BYTES,
    RENEW_SECONDS,
    HeldMessages,
    Keys,
    Renewal,
    Taken,
)

logger = logging.getLogger(__name__)


class Holder:
    """The messages in hand of this process, and the lease on them.

    Tags outlive a connection: a message that was taken over a lost one is released over the next.

    Attributes
    ----------
    name
        ``node/random``, unique among all processes and over time.
    in_hand
        Delivered and unfinished messages by tag, each with the channel of its delivery.
    is_connected
        Whether :meth:`connect` was called, and :meth:`close` not since.
    """

    def __init__(self, node: str, keys: Keys, most_bytes: int = MOST_ENTRY_BYTES) -> None:
        self.name = f"{node}/{secrets.token_hex(4)}"
        self.keys = keys
        self._most_bytes = most_bytes
        self.in_hand: dict[str, tuple[Taken, Any]] = {}
        self._released: deque[str] = deque()
        self._returned: deque[str] = deque()
        self._redelivered: set[str] = set()
        self._expected: set[str] = set()
        self._channels: set[Any] = set()
        self._pid = os.getpid()
        self._lease: Lease | None = None
        self._server: HeldMessages | None = None
        self.is_connected = False

    @property
    def is_mine(self) -> bool:
        """Whether this process created it; False in a forked child."""
        return self._pid == os.getpid()

    @property
    def server(self) -> HeldMessages:
        """Operations on the server, through the newest connection."""
        if self._server is None or not self.is_connected:
            raise redis.ConnectionError("the connection to the broker is lost")
        return self._server

    @property
    def has_released(self) -> bool:
        """Whether finished messages are still recorded as held on the server."""
        return bool(self._released or self._returned)

    @property
    def next_due(self) -> float | None:
        """Time of the next delayed message, by ``time.monotonic()``; None without one."""
        return None if self._lease is None else self._lease.next_due

    def connect(
        self,
        channel: Any,  # noqa: ANN401 - kombu ships no types
        client: redis.Redis,
        make_client: Callable[[], redis.Redis],
    ) -> None:
        """Switch to a new connection, and put back held messages that are not in hand.

        Parameters
        ----------
        channel
            Channel of the connection; it calls :meth:`leave` when it closes.
        client
            Client for the caller's thread.
        make_client
            Creates a client for the thread that renews the lease.
        """
        self._channels = {each for each in self._channels if not each.closed} | {channel}
        if self._server is None:
            self._server = HeldMessages(client, self.keys, self.name, most_bytes=self._most_bytes)
        else:
            self._server.use(client)
        self.is_connected = True
        self._server.renew(sweeps=False)
        self.release_all()
        self.put_back_unknown()
        if self._lease is None:
            self._lease = Lease(HeldMessages(make_client(), self.keys, self.name))
            self._lease.start()
        else:
            replaced = self._lease.server.client
            self._lease.server.use(make_client())
            replaced.close()

    def add(self, taken: Taken, channel: Any) -> None:  # noqa: ANN401 - kombu ships no types
        """Record a delivered message."""
        self.in_hand[taken.tag] = taken, channel

    def release(self, tag: str) -> None:
        """Record that a message is finished; it is released on the server with the next take."""
        known = self.in_hand.pop(tag, None)
        if known is None:
            return
        if known[0].deliveries:
            self._redelivered.add(hashlib.sha1(known[0].raw, usedforsecurity=False).hexdigest())
        self._released.append(tag)

    def give_back(self, tag: str) -> None:
        """Record that a message must be requeued; it is put back after the waiting ones."""
        if tag in self.in_hand:
            self._returned.append(tag)

    def forget(self, tags: Collection[str]) -> None:
        """Record that messages are no longer in hand: put back, delayed or dead-lettered."""
        for tag in tags:
            self.in_hand.pop(tag, None)

    def take(self, priorities: list[list[str]], most: int) -> list[Taken]:
        """Release finished messages, and take up to ``most`` messages."""
        number = min(len(self._released), MOST_AT_ONCE)
        released = [self._released.popleft() for _ in range(number)]
        try:
            taken = self.server.take(priorities, most, released)
            if self._redelivered:
                self.server.forget_deliveries(self._redelivered)
                self._redelivered.clear()
        except BaseException:
            # Releasing twice is harmless; not releasing would run the task again.
            self._released.extendleft(reversed(released))
            raise
        return taken

    def expect(self, priorities: list[list[str]]) -> tuple[list[Any], str]:
        """Return the command that takes one message, and the tag of that message."""
        command, tag = self.server.take_command(priorities)
        self._expected.add(tag)
        return command, tag

    def unexpect(self, tag: str) -> None:
        """Record that a reply was read or abandoned; the message may be held, but not in hand."""
        self._expected.discard(tag)

    def release_all(self) -> None:
        """Release finished messages on the server, and put requeued ones back."""
        while self._released:
            self.take([], 0)
        if self._returned:
            self.put_back(list(self._returned), is_next=False)
            self._returned.clear()

    def put_back_unknown(self) -> None:
        """Put back held messages that are not in hand."""
        if count := self.server.put_back_others([*self.in_hand, *self._expected]):
            logger.warning("Put back %d messages that were not started", count)

    def put_back(self, tags: Collection[str], *, is_next: bool) -> None:
        """Put messages in hand back on their queues."""
        self.server.put_back(tags, is_next=is_next)
        self.forget(tags)

    def leave(self, channel: Any) -> None:  # noqa: ANN401 - kombu ships no types
        """Remove a properly closed channel; end the lease with the last one."""
        self._channels.discard(channel)
        if not self._channels:
            self.close()

    def close(self) -> None:
        """Put all messages back and end the lease."""
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.stop()
            lease.server.client.close()
        if not self.is_connected:
            return
        try:
            self.release_all()
            if count := self.server.leave():
                logger.info("Put back %d messages that were not started", count)
        finally:
            self.in_hand.clear()
            self.is_connected = False


class Lease(threading.Thread):
    """Thread that renews a consumer's lease, and sweeps dead consumers.

    A thread, since the consumer's main thread may block for as long as a task or a timeout takes.
    It sweeps only after its own renewals have been on time for the duration of one lease: after an
    outage of the server all leases have ended, and live consumers need that time to renew theirs.
    """

    def __init__(self, server: HeldMessages) -> None:
        super().__init__(name="lease", daemon=True)
        self.server = server
        self.next_due: float | None = None
        self._stop_asked = threading.Event()
        self._on_time_since = time.monotonic()

    def stop(self) -> None:
        """Stop the thread; the lease expires."""
        self._stop_asked.set()
        if self.is_alive():
            self.join(timeout=self.server.lease)

    def run(self) -> None:
        """Renew until :meth:`stop` is called."""
        is_failing = False
        last = time.monotonic()
        while not self._stop_asked.wait(RENEW_SECONDS):
            try:
                renewal = self._renew()
            except Exception as error:  # noqa: BLE001 - without a lease all messages are redelivered
                # Also a ValueError or an AttributeError: the main thread closes the client that it
                # has replaced, which redis-py does not support while another thread reads.
                if not is_failing:
                    logger.warning("The lease on messages is not renewed: %s", error)
                is_failing = True
                self._on_time_since = time.monotonic()
                continue
            if is_failing:
                logger.info("The lease on messages is renewed again")
            is_failing = False
            now = time.monotonic()
            if now - last > LATE_SECONDS or not renewal.is_on_time:
                self._on_time_since = now
            last = now
            self._report(renewal)

    def _renew(self) -> Renewal:
        now = time.monotonic()
        renewal = self.server.renew(sweeps=now - self._on_time_since > self.server.lease)
        self.next_due = None if renewal.next_due is None else now + renewal.next_due
        return renewal

    def _report(self, renewal: Renewal) -> None:
        if not renewal.was_held:
            logger.warning(
                "The lease of %s had ended: its messages were given to other consumers",
                self.server.consumer,
            )
        for name, count in renewal.swept.items():
            logger.warning("Put back %d messages of %s, which is dead", count, name)
