"""The transports that kombu uses for the URL schemes of Redis."""

import logging
from collections.abc import Container
from typing import Any, Final

import redis
from kombu import transport
from kombu.transport import redis as kombu_redis

from worker.transport.channel import Channel, SentinelChannel

logger = logging.getLogger(__name__)


class Poller(kombu_redis.MultiChannelPoller):  # type: ignore[misc]  # kombu ships no types
    """kombu's poller, which also runs the fetchers of the channels."""

    readers: Container[int] = ()
    """File descriptors that the event loop watches already, if there is one."""

    def on_poll_start(self) -> None:
        """Take messages, and wait for more."""
        super().on_poll_start()
        for channel in list(self._channels):
            channel.fetcher.step()

    def on_readable(self, fileno: int) -> Any:  # noqa: ANN401 - kombu's
        """Read a peek's reply, or what kombu itself waits for."""
        for channel in self._channels:
            if channel.fetcher.owns(fileno):
                channel.fetcher.on_readable(fileno)
                # The next turn of an event loop takes the message; who drains events has none.
                return channel.fetcher.step() if channel.hub is None else None
        return super().on_readable(fileno)

    def handle_event(self, fileno: int, event: int) -> Any:  # noqa: ANN401 - kombu's
        """Read a reply for consumers that drain events themselves."""
        if any(channel.fetcher.owns(fileno) for channel in self._channels):
            return self.on_readable(fileno), self
        return super().handle_event(fileno, event)

    def get(self, callback: Any, timeout: float | None = None) -> Any:  # noqa: ANN401 - kombu's signature
        """Deliver a waiting message, or wait for one."""
        came = False
        for channel in list(self._channels):
            came = channel.fetcher.step() or came
        if came:
            return None
        return super().get(callback, timeout)

    @property
    def fds(self) -> dict[int, Any]:
        """File descriptors to watch that the event loop does not watch yet."""
        # kombu adds all of them in each turn of the loop, with a system call for each.
        descriptors: dict[int, Any] = dict(super().fds)
        for channel in self._channels:
            descriptors |= dict.fromkeys(channel.fetcher.filenos)
        return {fd: known for fd, known in descriptors.items() if fd not in self.readers}

    def maybe_restore_messages(self) -> None:
        """Put back messages without a live holder; called every ten seconds."""
        for channel in list(self._channels):
            try:
                channel.put_back_unknown()
                channel.restore_legacy()
            except redis.RedisError as error:
                logger.warning("Messages without a live holder are not put back: %s", error)

    def on_poll_init(self, poller: Any) -> None:  # noqa: ANN401 - kombu's
        """Use the poller of an event loop."""
        self.poller = poller

    def forget_fileno(self, fileno: int) -> None:
        """Stop to watch a file descriptor."""
        self._unregister_from_poll(fileno)


class Transport(kombu_redis.Transport):  # type: ignore[misc]  # kombu ships no types
    """Transport of ``redis://`` and ``rediss://``."""

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
        self.cycle.readers = loop.readers
        before = set(loop.on_tick)
        super().register_with_event_loop(connection, loop)
        self._ticks = loop.on_tick - before

    def close_connection(self, connection: Any) -> None:  # noqa: ANN401 - kombu's
        """Close all channels."""
        self._leave_event_loop()
        super().close_connection(connection)

    def _leave_event_loop(self) -> None:
        # kombu leaves its callback there, which would leak every lost connection.
        if self.hub is not None:
            self.hub.on_tick.difference_update(self._ticks)


class SentinelTransport(Transport, kombu_redis.SentinelTransport):  # type: ignore[misc]  # kombu ships no types
    """Transport of ``sentinel://``."""

    Channel = SentinelChannel


ALIASES: Final = {
    "redis": f"{__name__}:Transport",
    "rediss": f"{__name__}:Transport",
    "sentinel": f"{__name__}:SentinelTransport",
}


def register() -> None:
    """Register these transports with kombu, for this process."""
    transport.TRANSPORT_ALIASES.update(ALIASES)
