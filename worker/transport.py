"""kombu's Redis transport, with one client for each channel.

kombu makes a client anew for each acknowledgement and each note that a message was taken, and
redis-py fills a table of its hundred and more commands for each. `make bench` shows the difference
in the worker's main process.
"""

from typing import Any, Final

from kombu import transport
from kombu.transport import redis


class Channel(redis.Channel):  # type: ignore[misc]  # kombu ships no types
    """A channel that keeps its client for as long as it has the same connection pool."""

    _kept: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - kombu's signature
        if asynchronous:
            return super()._create_client(asynchronous=True)
        if self._kept is None or self._kept.connection_pool is not self.pool:
            self._kept = super()._create_client()
        return self._kept


class Transport(redis.Transport):  # type: ignore[misc]  # kombu ships no types
    """For redis:// and rediss://."""

    Channel = Channel


class SentinelChannel(Channel, redis.SentinelChannel):  # type: ignore[misc]  # kombu ships no types
    """The same to the primary that sentinels name."""


class SentinelTransport(redis.SentinelTransport):  # type: ignore[misc]  # kombu ships no types
    """For sentinel://."""

    Channel = SentinelChannel


ALIASES: Final = {
    "redis": f"{__name__}:Transport",
    "rediss": f"{__name__}:Transport",
    "sentinel": f"{__name__}:SentinelTransport",
}


def register() -> None:
    """Have kombu use these transports for their schemes in this process."""
    transport.TRANSPORT_ALIASES.update(ALIASES)
