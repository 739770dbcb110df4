"""A worker's consumer: it keeps its messages when a connection is lost, and during shutdown."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from celery.exceptions import WorkerShutdown
from celery.worker import consumer, state
from kombu import compression
from kombu.common import ignore_errors

from worker import broker, transport
from worker.envelope import Rules
from worker.node.inbox import Inbox
from worker.node.refusals import Refusals, error_location
from worker.node.shutdown import Shutdown
from worker.settings import load

logger = logging.getLogger(__name__)

SOFT_SECONDS: Final = 10.0
"""How long a soft shutdown waits for running tasks."""
EVENT_SECONDS: Final = 0.1
"""How long events are collected before they are sent, unless Celery's buffer is full before."""


class Consumer(consumer.Consumer):  # type: ignore[misc]  # Celery ships no types
    """Takes messages from the queues."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - Celery's arguments
        refuse_compression()
        settings = load()
        rules = Rules.of(settings, options["app"].tasks)
        _set_transport_options(options["app"], options["hostname"], rules.raw_bytes)
        self._sending: Any = None
        self._shutdown = Shutdown(SOFT_SECONDS)
        # Nothing uses Celery's gossip, and a malformed event of any client would end its receiver.
        super().__init__(*arguments, without_gossip=True, **options)
        self._refusals = Refusals(self.app, self.hub, broker.bounds(settings))
        self._inbox = Inbox(rules, self._refusals, settings.delivery_limit)

    def start(self) -> None:
        """Consume until the worker is asked to stop; then wait for the running tasks."""
        try:
            super().start()
        except WorkerShutdown:
            if self.hub is not None:
                self._shutdown.drain(self)
            raise

    def running_requests(self) -> list[Any]:
        """Return the requests that pool processes are running."""
        return [each for each in state.active_requests if self._is_with_a_process(each)]

    def on_send_event_buffered(self) -> None:
        """Collect events for :data:`EVENT_SECONDS` and send them together.

        Celery publishes after each iteration of its event loop, with a round trip each time; ADR 7
        has the cost for a busy main process.
        """
        if self.hub is not None and self._sending is None:
            self._sending = self.hub.call_later(EVENT_SECONDS, self._send_events)

    def shutdown(self) -> None:
        """Send the last events before the connection closes, and requeue unstarted messages."""
        with ignore_errors(self.connection):
            self._flush_events()
        super().shutdown()
        with ignore_errors(self.connection):
            transport.leave_all()

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Keep the messages in hand for the next connection."""
        # An AMQP broker requeues the unacknowledged messages of a lost connection by itself.
        for channel in getattr(self.connection.transport, "channels", None) or ():
            channel.do_restore = False
        super().on_connection_error_after_connected(exc)

    def on_decode_error(self, message: Any, exc: Exception) -> None:  # noqa: ANN401 - Celery's arguments
        """Refuse an AMQP message with a compressed body: kombu's decompressors are disabled.

        A remote control message that cannot be decoded is dropped.
        """
        if message.channel is getattr(self.task_consumer, "channel", None):
            self._inbox.refuse_compressed(message)
        else:
            logger.warning("A remote control message cannot be decoded: %s", error_location(exc))

    def on_close(self) -> None:
        """Forget messages that no process has started; the next connection requeues them."""
        if self._shutdown.is_drained:
            return  # there is no pool any more
        super().on_close()
        transport.keep_in_hand(
            {
                request.message.delivery_tag
                for request in {*state.reserved_requests, *state.active_requests}
                if self._is_with_a_process(request)
            }
        )

    def create_task_handler(self, *arguments: Any, **options: Any) -> Callable[[Any], Any]:  # noqa: ANN401 - Celery's arguments
        """Return Celery's handler of messages, called after the check of the envelope."""
        handle = super().create_task_handler(*arguments, **options)
        # Celery cancels the timers of a connection that was lost.
        self._sending = None
        self._refusals.clear()
        if self.hub is not None:
            self._shutdown.listen(self)
        channel = self.task_consumer.channel
        if isinstance(channel, transport.Channel):
            channel.gate = partial(self._inbox.admit, channel)
            # Immediately, so that refused messages free the prefetch count before the loop sleeps.
            channel.on_delivered = self._refusals.work_off
            return partial(self._inbox.handle, handle)
        return partial(self._inbox.check, handle)

    def _is_with_a_process(self, request: Any) -> bool:  # noqa: ANN401 - Celery ships no types
        """Return whether a request is still in the pool after Celery has flushed the pool."""
        if request.time_start is not None:
            return True
        job = request._apply_result and request._apply_result()  # noqa: SLF001 - see private_names.txt
        cache = getattr(getattr(self.pool, "_pool", None), "_cache", None)
        return job is not None and cache is not None and job._job in cache  # noqa: SLF001 - the same

    def _send_events(self) -> None:
        self._sending = None
        self._flush_events()


def _set_transport_options(app: Any, hostname: str, most_bytes: int) -> None:  # noqa: ANN401 - Celery ships no types
    """Name this worker, so that the broker records it as the holder, and the limit of an entry."""
    url = app.conf.broker_read_url or app.conf.broker_url
    if urlsplit(url).scheme in transport.ALIASES:
        app.conf.broker_transport_options |= {"node": hostname, "most_bytes": most_bytes}


def refuse_compression() -> None:
    """Disable kombu's decompressors: a megabyte can unpack to gigabytes in the main process."""

    def refuse(_: bytes) -> bytes:
        raise ValueError("compressed messages are refused")

    for content_type in compression.encoders():
        compression.register(refuse, refuse, content_type)
