"""Prefetch accounting: messages that wait do not count towards a consumer's prefetch count.

A message waits for its ETA, or for its dead letter to be confirmed.

Celery raises the prefetch count for each waiting message. RabbitMQ allows that only for classic
queues before RabbitMQ 4; otherwise a prefetch count of messages with an ETA would block all others
behind them. So the consumer is replaced: the new one starts with its own count, and the messages of
the old one stay unacknowledged on the channel.
"""

from dataclasses import dataclass, field
from typing import Final

MOST_WAITING: Final = 1000
"""Maximum number of waiting messages of one queue's consumer; more of them block the queue."""


@dataclass(slots=True)
class Window:
    """The messages that were delivered from one queue and are not settled.

    Attributes
    ----------
    count
        The prefetch count, 0 for no limit.
    current
        Delivery tags that the broker counts: unsettled messages of the current consumer.
    plain, waiting
        Delivery tags of messages to run and of waiting ones, including previous consumers.
    """

    count: int
    current: set[int] = field(default_factory=set)
    plain: set[int] = field(default_factory=set)
    waiting: set[int] = field(default_factory=set)

    def add(self, tag: int, *, has_eta: bool) -> None:
        """Record a delivery."""
        self.current.add(tag)
        (self.waiting if has_eta else self.plain).add(tag)

    def set_aside(self, tag: int) -> None:
        """Record that a message waits."""
        self.plain.discard(tag)
        self.waiting.add(tag)

    def remove(self, tag: int) -> None:
        """Record that a message was acknowledged or rejected."""
        for tags in (self.current, self.plain, self.waiting):
            tags.discard(tag)

    @property
    def is_narrow(self) -> bool:
        """Whether a new consumer would receive at least half a prefetch count more.

        Then at most 1.5 prefetch counts of messages without an ETA are held.
        """
        if not self.count or len(self.waiting) >= MOST_WAITING:
            return False
        free = self.count - len(self.current)
        return self.count - len(self.plain) - free >= (self.count + 1) // 2

    def renew(self) -> None:
        """Start counting for a new consumer."""
        self.current.clear()
