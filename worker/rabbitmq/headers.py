"""Headers that RabbitMQ adds to messages."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

DELIVERY_COUNT: Final = "x-delivery-count"
"""Of a message from a quorum queue: how often it came back before this delivery."""
DEATHS: Final = "x-death"
"""Of a message that the broker has dead-lettered: a list, the last time first."""
_NAMES: Final = frozenset({DELIVERY_COUNT, DEATHS, "x-acquired-count"})
_PREFIXES: Final = ("x-first-death-", "x-last-death-")
_REASONS: Final = {
    "delivery_limit": "it came back more often than its queue allows",
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
    """Return the last death of a message, None if the broker has not dead-lettered it."""
    deaths = headers.get(DEATHS)
    match deaths:
        case [{"reason": str(reason), "queue": str(queue), "time": datetime() as moment}, *_]:
            told = _REASONS.get(reason, "the broker dead-lettered it")
            # py-amqp reads times in UTC, and leaves out that they are.
            return Death(f"{reason}: {told}", moment.replace(tzinfo=UTC), queue)
        case _:
            return None


def deliveries(headers: Mapping[str, Any], delivery_info: Mapping[str, Any]) -> int:
    """Return how often a message came back before this delivery, where its queue counts that."""
    count = headers.get(DELIVERY_COUNT)
    # At the first delivery the header is the producer's, if there is one.
    if not delivery_info.get("redelivered") or isinstance(count, bool):
        return 0
    return count if isinstance(count, int) else 0


def without_broker_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return headers without those that a broker has added."""
    return {
        name: value
        for name, value in headers.items()
        if name not in _NAMES and not str(name).startswith(_PREFIXES)
    }
