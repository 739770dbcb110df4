"""The worker's consumer: a message that no task can take is kept, and its producer told.

Celery's own consumer logs such a message with its body and lets it go, or ends with it.
"""

import logging
from collections.abc import Callable
from typing import Any, Final

from celery.exceptions import WorkerShutdown
from celery.worker import consumer, state
from kombu import compression
from kombu.common import ignore_errors

from tasks.errors import InvalidMessage, Problem
from worker import dead_letters, envelope, transport
from worker.shutdown import Shutdown

logger = logging.getLogger(__name__)

SOFT_SECONDS: Final = 10.0
"""How long a soft shutdown waits for running tasks."""
EVENT_SECONDS: Final = 0.1
"""How long an event waits for others, unless there are enough of them before."""


class Consumer(consumer.Consumer):  # type: ignore[misc]  # Celery ships no types
    """Takes messages from the queues."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - Celery's arguments
        refuse_compression()
        self._sending: Any = None
        self._shutdown = Shutdown(SOFT_SECONDS)
        super().__init__(*arguments, **options)

    def start(self) -> None:
        """Consume until the worker is asked to end; then wait for the running tasks."""
        try:
            super().start()
        except WorkerShutdown:
            if self.hub is not None:
                self._shutdown.drain(self)
            raise

    def running_requests(self) -> list[Any]:
        """Return the requests that pool processes work on."""
        return [each for each in state.active_requests if self._is_with_a_process(each)]

    def on_send_event_buffered(self) -> None:
        """Send the events of a moment together.

        Celery publishes after every turn of its loop, with a round trip each time; ADR 7 has what
        that costs a busy main process.
        """
        if self.hub is not None and self._sending is None:
            self._sending = self.hub.call_later(EVENT_SECONDS, self._send_events)

    def shutdown(self) -> None:
        """Send the last events before the connection goes, and put back what was not begun."""
        with ignore_errors(self.connection):
            self._flush_events()
        super().shutdown()
        with ignore_errors(self.connection):
            transport.leave_all()

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Keep the messages in hand for the next connection."""
        if self.task_consumer is not None:
            self.task_consumer.channel.do_restore = False
        super().on_connection_error_after_connected(exc)

    def on_close(self) -> None:
        """Forget what no process has begun; the next connection puts it back."""
        if self._shutdown.is_drained:
            return  # there is no pool any more
        super().on_close()
        transport.keep_in_hand({
            request.message.delivery_tag
            for request in {*state.reserved_requests, *state.active_requests}
            if self._is_with_a_process(request)
        })

    def create_task_handler(self, *arguments: Any, **options: Any) -> Callable[[Any], Any]:  # noqa: ANN401 - Celery's arguments
        """Return Celery's handler of messages behind a check of the envelope."""
        handle = super().create_task_handler(*arguments, **options)
        # Celery cancels the timers of a connection that was lost.
        self._sending = None
        if self.hub is not None:
            self._shutdown.listen(self.hub)

        def checked(message: Any) -> Any:  # noqa: ANN401 - kombu's message
            try:
                payload = message.payload
            except Exception:  # noqa: BLE001 - whatever a decoder meets in foreign bytes
                return self._bury(message, "undecodable", "the body is not the JSON it should be")
            told = envelope.broken(message.headers, payload)
            if told is not None:
                return self._bury(message, "malformed", told)
            return handle(message)

        return checked

    def on_decode_error(self, message: Any, exc: Exception) -> None:  # noqa: ANN401, ARG002 - Celery's arguments
        """Keep a message that kombu could not unpack."""
        self._bury(message, "undecodable", "compressed messages are refused")

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ANN401, ARG002 - Celery's arguments
        """Keep a message for a task that this service does not have."""
        self._bury(message, "unknown_task", "there is no task of that name")

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ANN401, ARG002 - Celery's arguments
        """Keep a message that Celery refuses."""
        self._bury(message, "malformed", "not a message of Celery's protocol 2")

    def _is_with_a_process(self, request: Any) -> bool:  # noqa: ANN401 - Celery ships no types
        """Tell whether a request is with the pool after the pool has been flushed."""
        if request.time_start is not None:
            return True
        job = request._apply_result and request._apply_result()  # noqa: SLF001 - see worker.transport.private
        cache = getattr(getattr(self.pool, "_pool", None), "_cache", None)
        return job is not None and cache is not None and job._job in cache  # noqa: SLF001 - the same

    def _send_events(self) -> None:
        self._sending = None
        self._flush_events()

    def _bury(self, message: Any, kind: str, told: str) -> None:  # noqa: ANN401 - kombu's message
        problem: Problem = {"path": "", "type": kind, "message": told}
        dead_letters.keep(self.app, message, f"{kind}: {told}")
        headers = message.headers
        task_id = headers.get("id") if isinstance(headers, dict) else None
        if isinstance(task_id, str) and 0 < len(task_id) <= envelope.LONGEST_ID:
            error = InvalidMessage.of(f"the message cannot be worked on: {told}", [problem])
            self.app.backend.store_result(task_id, error, "FAILURE")
        message.ack_log_error(logger, self.connection_errors)
        # Without the id: where this one is wrong, that may be anything.
        logger.error("A message is a dead letter: %s: %s", kind, told)


def refuse_compression() -> None:
    """Take kombu its decompressors: a megabyte can unpack to gigabytes in the main process."""

    def refuse(_: bytes) -> bytes:
        raise ValueError("compressed messages are refused")

    for content_type in compression.encoders():
        compression.register(refuse, refuse, content_type)
