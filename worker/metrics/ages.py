"""Age of the oldest message of each queue: ready and reserved."""

import time
from collections.abc import Mapping

from kombu import Connection

from worker.queues import CONSUMED
from worker.reserved import inspected, records_holders
from worker.transport.inspection import NextMessage, queue_of


class Ages:
    """Ages of the oldest messages on the broker.

    A message on Redis has no time, unless its producer sends the header ``timestamp_in_ms``. Of one
    without it the age is at least the time since this process saw it as the next one of its list.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[bytes, float]] = {}

    def read(self, connection: Connection) -> dict[tuple[str, str], float]:
        """Return seconds by queue and state, ``ready`` or ``reserved``; on RabbitMQ none.

        The connection stays open. Raises what its client raises.
        """
        if not records_holders(connection):
            return {}
        names = [queue.value for queue in CONSUMED]
        with inspected(connection) as inspection:
            now = inspection.now()
            taken = inspection.held().oldest
            ready = self.of_ready(inspection.next_messages(names), time.time())
        reserved = {
            (queue, "reserved"): max(0.0, (now - moment).total_seconds())
            for queue, moment in taken.items()
            if queue in names
        }
        return {(queue, "ready"): age for queue, age in ready.items()} | reserved

    def of_ready(self, messages: Mapping[str, NextMessage], now: float) -> dict[str, float]:
        """Return the age of the oldest of each queue's next messages, one for each priority."""
        seen: dict[str, tuple[bytes, float]] = {}
        ages: dict[str, float] = {}
        for name, message in messages.items():
            before = self._seen.get(name)
            since = before[1] if before is not None and before[0] == message.digest else now
            seen[name] = (message.digest, since)
            oldest = since if message.sent_at is None else min(since, message.sent_at)
            queue = queue_of(name)
            ages[queue] = max(ages.get(queue, 0.0), now - oldest)
        self._seen = seen
        return ages
