"""The transports that kombu finds for the schemes of Redis."""

import logging
from typing import Any, Final

import redis
from kombu import transport
from kombu.transport import redis as kombu_redis

from worker.transport.channel import Channel, SentinelChannel

logger = logging.getLogger(__name__)


class Poller(kombu_redis.MultiChannelPoller):  # type: ignore[misc]  # kombu ships no types
    """kombu's poller, which also turns the fetchers of the channels."""

    def on_poll_start(self) -> None:
        """Take messages, and wait for more."""
        super().on_poll_start()
        for channel in list(self._channels):
            channel.fetcher.step()

    def on_readable(self, fileno: int) -> Any:  # noqa: ANN401 - kombu's
        """Read what has come."""
        for channel in self._channels:
            if channel.fetcher.owns(fileno):
                channel.fetcher.on_readable(fileno)
                return channel.fetcher.step()
        return super().on_readable(fileno)

    def handle_event(self, fileno: int, event: int) -> Any:  # noqa: ANN401 - kombu's
        """Read what has come, for consumers that drain events themselves."""
        if any(channel.fetcher.owns(fileno) for channel in self._channels):
            return self.on_readable(fileno), self
        return super().handle_event(fileno, event)

    def get(self, callback: Any, timeout: float | None = None) -> Any:  # noqa: ANN401 - kombu's signature
        """Deliver a message that waits, or wait for one."""
        came = False
        for channel in list(self._channels):
            came = channel.fetcher.step() or came
        if came:
            return None
        return super().get(callback, timeout)

    @property
    def fds(self) -> dict[int, Any]:
        """File descriptors to watch."""
        found: dict[int, Any] = dict(super().fds)
        for channel in self._channels:
            found |= dict.fromkeys(channel.fetcher.filenos)
        return found

    def maybe_restore_messages(self) -> None:
        """Put back what nobody works on; called every ten seconds."""
        for channel in list(self._channels):
            try:
                channel.put_back_unknown()
                channel.restore_legacy()
            except redis.RedisError as error:
                logger.warning("Messages that nobody works on are not looked for: %s", error)

    def on_poll_init(self, poller: Any) -> None:  # noqa: ANN401 - kombu's
        """Use the poller of an event loop."""
        self.poller = poller

    def forget_fileno(self, fileno: int) -> None:
        """Stop to watch a file descriptor."""
        self._unregister_from_poll(fileno)


class Transport(kombu_redis.Transport):  # type: ignore[misc]  # kombu ships no types
    """For redis:// and rediss://."""

    Channel = Channel
    hub: Any = None

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - kombu's arguments
        super().__init__(*arguments, **options)
        self.cycle = Poller()
        self._ticks: set[Any] = set()

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:  # noqa: ANN401 - kombu's
        """Use an event loop."""
        self._leave_event_loop()
        self.hub = loop
        before = set(loop.on_tick)
        super().register_with_event_loop(connection, loop)
        self._ticks = loop.on_tick - before

    def close_connection(self, connection: Any) -> None:  # noqa: ANN401 - kombu's
        """Close all channels."""
        self._leave_event_loop()
        super().close_connection(connection)

    def _leave_event_loop(self) -> None:
        # kombu leaves its callback there, which keeps each connection that was ever lost.
        if self.hub is not None:
            self.hub.on_tick.difference_update(self._ticks)


class SentinelTransport(Transport, kombu_redis.SentinelTransport):  # type: ignore[misc]  # kombu ships no types
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
