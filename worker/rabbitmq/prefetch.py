"""How many messages a consumer may hold: those that wait for something do not count.

They wait for their ETA, or for a broker that does not take their dead letter.

Celery raises the prefetch count for each message that waits. RabbitMQ lets a consumer's count be
changed in classic queues before RabbitMQ 4 only, and elsewhere as many messages with an ETA as the
count allows hold up all that come behind them. A new consumer begins with a count of its own, and
the messages of the old one stay where they are.
"""

from dataclasses import dataclass, field
from typing import Final

MOST_WAITING: Final = 1000
"""Messages that wait, held by one queue's consumer; further ones hold up the queue again."""


@dataclass(slots=True)
class Window:
    """The messages that were delivered from one queue and are not settled.

    Attributes
    ----------
    count
        The prefetch count, 0 for none.
    current
        Delivery tags of what the broker counts: the messages of the consumer that there is now.
    plain, waiting
        Delivery tags of messages to work on and of those that wait, of all consumers that there
        were.
    """

    count: int
    current: set[int] = field(default_factory=set)
    plain: set[int] = field(default_factory=set)
    waiting: set[int] = field(default_factory=set)

    def add(self, tag: int, *, has_eta: bool) -> None:
        """Note a delivery."""
        self.current.add(tag)
        (self.waiting if has_eta else self.plain).add(tag)

    def set_aside(self, tag: int) -> None:
        """Note that a message waits, whatever it was delivered for."""
        self.plain.discard(tag)
        self.waiting.add(tag)

    def remove(self, tag: int) -> None:
        """Note that a message was acknowledged or rejected."""
        for tags in (self.current, self.plain, self.waiting):
            tags.discard(tag)

    @property
    def is_narrow(self) -> bool:
        """Whether a new consumer would bring in at least half a prefetch count more.

        At most one and a half counts of messages without an ETA are held then.
        """
        if not self.count or len(self.waiting) >= MOST_WAITING:
            return False
        free = self.count - len(self.current)
        return self.count - len(self.plain) - free >= (self.count + 1) // 2

    def renew(self) -> None:
        """Begin anew with a new consumer."""
        self.current.clear()
