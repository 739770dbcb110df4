"""Prefetch accounting: messages that wait do not count towards a consumer's prefetch count.

A message waits for its ETA, or for its dead letter to be confirmed.

Celery raises the prefetch count for each waiting message. RabbitMQ allows that only for classic
queues before RabbitMQ 4; otherwise a prefetch count of messages with an ETA would block all others
after them. So the queue gets a further consumer, with a prefetch count of its own.

The older consumer is cancelled when it is full: then the broker has no message on its way to it.
A quorum queue takes such a message back, and counts that as a failed delivery: with a delivery
limit of 3, RabbitMQ 3.10 made dead letters of 8 of 200 messages with an ETA that were waiting when
a worker started. The unsettled messages of a cancelled consumer stay unsettled on the channel.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

MOST_WAITING: Final = 1000
"""Maximum number of waiting messages of one queue; more of them block the queue."""


@dataclass(slots=True)
class Window:
    """The messages that were delivered from one queue and are not settled.

    Attributes
    ----------
    count
        The prefetch count of each consumer, 0 for no limit.
    consumers
        By consumer tag, the oldest first: delivery tags that the broker counts.
    plain, waiting
        Delivery tags of messages to run, and of messages that wait; messages of cancelled
        consumers are included.
    """

    count: int
    consumers: dict[str, set[int]] = field(default_factory=dict)
    plain: set[int] = field(default_factory=set)
    waiting: set[int] = field(default_factory=set)

    def open(self, consumer: str) -> None:
        """Record a new consumer."""
        self.consumers[consumer] = set()

    def add(self, tag: int, consumer: str, *, has_eta: bool) -> None:
        """Record a delivery; its consumer may have been cancelled meanwhile."""
        if consumer in self.consumers:
            self.consumers[consumer].add(tag)
        (self.waiting if has_eta else self.plain).add(tag)

    def set_aside(self, tag: int) -> None:
        """Record that a message waits."""
        self.plain.discard(tag)
        self.waiting.add(tag)

    def remove(self, tag: int) -> None:
        """Record that a message was acknowledged or rejected."""
        for tags in (*self.consumers.values(), self.plain, self.waiting):
            tags.discard(tag)

    @property
    def is_narrow(self) -> bool:
        """Whether at most half a prefetch count is left for messages without an ETA."""
        if not self.count or len(self.waiting) >= MOST_WAITING:
            return False
        return self._room <= self.count // 2

    def close_dispensable(self) -> Iterator[str]:
        """Forget the consumers to cancel; yield their tags.

        Those that are full, and the emptiest while more than one and a half prefetch counts are
        left for messages without an ETA. The newest consumer stays.
        """
        *older, _ = self.consumers
        for consumer in sorted(older, key=lambda each: len(self.consumers[each])):
            is_full = len(self.consumers[consumer]) >= self.count
            if is_full or self._room > self.count + self.count // 2:
                del self.consumers[consumer]
                yield consumer

    @property
    def _room(self) -> int:
        """Number of messages without an ETA that are held or may be delivered."""
        free = sum(self.count - len(tags) for tags in self.consumers.values())
        return len(self.plain) + free
