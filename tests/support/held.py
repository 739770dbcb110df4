"""What consumers hold on a broker."""

from typing import Any


def held(valkey: Any) -> list[bytes]:  # noqa: ANN401 - a client of redis-py or fakeredis
    """Return the messages that consumers hold, as they lay on their queues."""
    return [
        entry.split(b"\n", 2)[2]
        for key in valkey.scan_iter("unacked:held:*")
        for entry in valkey.hvals(key)
    ]
