"""Headers that RabbitMQ adds to messages."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

DELIVERY_COUNT: Final = "x-delivery-count"
"""In messages from quorum queues: number of returns before this delivery."""
DEATHS: Final = "x-death"
"""In messages that the broker has dead-lettered: a list, the newest event first."""
_NAMES: Final = frozenset({DELIVERY_COUNT, DEATHS, "x-acquired-count"})
_PREFIXES: Final = ("x-first-death-", "x-last-death-")
_REASONS: Final = {
    "delivery_limit": "it was returned more often than its queue's delivery limit",
    "expired": "it expired before a worker took it",
    "maxlen": "its queue was full",
    "rejected": "it was rejected",
}


class Death(NamedTuple):
    """Why, when and from which queue the broker has dead-lettered a message."""

    reason: str
    moment: datetime
    queue: str


def death(headers: Mapping[str, Any]) -> Death | None:
    """Return the newest ``x-death`` event; None if the broker has not dead-lettered the message."""
    deaths = headers.get(DEATHS)
    match deaths:
        case [{"reason": str(reason), "queue": str(queue), "time": datetime() as moment}, *_]:
            explanation = _REASONS.get(reason, "the broker dead-lettered it")
            # py-amqp decodes times as UTC, but without a time zone.
            return Death(f"{reason}: {explanation}", moment.replace(tzinfo=UTC), queue)
        case _:
            return None


def deliveries(headers: Mapping[str, Any], delivery_info: Mapping[str, Any]) -> int:
    """Return the number of returns before this delivery; 0 if the queue does not count them."""
    count = headers.get(DELIVERY_COUNT)
    # At the first delivery the broker sets no header; one that exists is the producer's.
    if not delivery_info.get("redelivered") or isinstance(count, bool):
        return 0
    return count if isinstance(count, int) else 0


def without_broker_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the headers without those that RabbitMQ has added."""
    return {
        name: value
        for name, value in headers.items()
        if name not in _NAMES and not str(name).startswith(_PREFIXES)
    }
