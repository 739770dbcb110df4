"""Shutdown of a worker: immediate if it is idle, otherwise after its running tasks.

Celery sleeps through its soft shutdown in a signal handler, in which the results of running tasks
are not read, and its pool needs another second for each process. Here the event loop continues
until the last task has been answered and acknowledged; unstarted messages are requeued first.

===========  ===================================================================
signal       the worker
===========  ===================================================================
SIGTERM      ends when the running tasks are done
SIGQUIT      the same, but interrupts running tasks after ``soft_seconds``; so does SIGTERM if
             ``REMAP_SIGTERM=SIGQUIT`` is set
the second   interrupts running tasks, whose messages are delivered again
===========  ===================================================================
"""

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from celery.worker import state

from tasks import stopping
from worker.transport import Channel, keep_in_hand, leave_all, put_back_unknown, release_done

logger = logging.getLogger(__name__)

GRACE_SECONDS: Final = 10.0
"""How long a task may exceed its hard time limit, which kills its process, before the worker exits
without it."""
REST_SECONDS: Final = 5.0
"""How long a shutdown may take while no task runs, timeouts of unresponsive servers included.
Messages that are not released by then are delivered again when the lease has ended."""
SILENT_SECONDS: Final = 1.0
"""The same if the broker has already not answered during this shutdown. Celery closes each
connection to it, one timeout after the other, which changes nothing for any message."""
WATCH_SECONDS: Final = 0.1
"""Interval of checks whether a task runs."""
ASKING: Final = (
    *("celery.events", "celery.worker", "kombu.transport"),
    *("worker.node.consumer", "worker.node.refusals", "worker.transport"),
)
"""Modules whose timers ask the broker."""
FLUSH_SECONDS: Final = 2.0
"""How long the last acknowledgements are retried."""


class Shutdown:
    """The end of one worker, as its signals ask for it."""

    def __init__(self, soft_seconds: float) -> None:
        self._soft_seconds = soft_seconds
        self._deadline: float | None = None
        self._asked = 0
        self._is_away = False
        self._is_silent = False
        self._has_ended_tasks = False
        self.is_drained = False
        self._consumer: Any = None

    def listen(self, consumer: Any) -> None:  # noqa: ANN401 - Celery ships no types
        """Replace Celery's signal handlers; called in the main thread."""
        self._consumer = consumer
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGQUIT, self._on_signal)

    @property
    def is_over(self) -> bool:
        """Whether running tasks are not waited for any longer."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    def drain(self, consumer: Any) -> None:  # noqa: ANN401 - Celery ships no types
        """Wait for the running tasks with the event loop, then end the pool's processes.

        ``consumer`` takes no more messages. Its pool is unusable afterwards.
        """
        if consumer.task_consumer is not None:
            self._ask(consumer.task_consumer.cancel)
        consumer.on_close()
        _read_results(consumer)
        self._ask(put_back_unknown)
        while consumer.running_requests() and not self.is_over:
            self._turn()
        if interrupted := consumer.running_requests():
            logger.warning("%d tasks are interrupted and will be delivered again", len(interrupted))
            keep_in_hand(set())
        self._has_ended_tasks = True
        # The acknowledgements of the last tasks are pending callbacks of the event loop.
        self._turn()
        _end_processes(consumer.pool)
        deadline = time.monotonic() + FLUSH_SECONDS
        for do in (release_done, leave_all):
            self._retried(do, deadline)
        self.is_drained = True

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self._asked += 1
        is_soft = number == signal.SIGQUIT or os.environ.get("REMAP_SIGTERM") == "SIGQUIT"
        if self._asked > 1 and is_soft:
            self._deadline = time.monotonic()
        elif is_soft:
            self._deadline = time.monotonic() + self._soft_seconds
        state.should_stop = 0
        stopping.begin()
        threading.Thread(target=self._watch, args=(self._asked,), daemon=True).start()

    def _watch(self, asked: int) -> None:
        """End the process when no task runs and the rest of the shutdown takes too long.

        A thread, since the main thread may wait for a server that does not answer.
        """
        # A signal does not interrupt the event loop's poll; a call from another thread does.
        self._consumer.hub.call_soon(_nothing)
        if asked > 1:
            return
        begun = idle_since = time.monotonic()
        longest = 0.0
        while True:
            now = time.monotonic()
            # RuntimeError: the main thread has changed the set of requests meanwhile.
            with contextlib.suppress(RuntimeError):
                if not self._has_ended_tasks and self._consumer.running_requests():
                    idle_since = now
                    longest = max(longest, _longest(self._consumer))
            allowed = SILENT_SECONDS if self._is_silent else REST_SECONDS
            if now - idle_since > allowed or now - begun > longest + GRACE_SECONDS:
                logger.warning("The process ends without waiting for servers that do not answer")
                os._exit(1)
            time.sleep(WATCH_SECONDS)

    def _ask(self, do: Callable[[], object]) -> Exception | None:
        """Run an operation on the broker; return its error, or None."""
        begun = time.monotonic()
        try:
            do()
        except (*self._consumer.connection_errors, *self._consumer.channel_errors) as error:
            self._is_away = True
            self._is_silent = time.monotonic() - begun > SILENT_SECONDS
            caught: Exception = error
            return caught
        self._is_silent = False
        return None

    def _turn(self) -> None:
        """Run the event loop once; errors of the broker must not end the wait for tasks."""
        if self._is_away:
            _leave_broker(self._consumer)
        consumer = self._consumer
        try:
            consumer.hub.run_once()
        except (*consumer.connection_errors, *consumer.channel_errors) as error:
            self._is_away = True
            logger.warning("The broker is unavailable during the shutdown: %s", error)

    def _retried(self, do: Callable[[], None], deadline: float) -> None:
        while (error := self._ask(do)) is not None:
            if time.monotonic() > deadline:
                logger.warning("The last acknowledgements were not sent: %s", error)
                return
            time.sleep(0.2)


def _nothing() -> None:
    """Do nothing; as a callback it only wakes the event loop."""


def _read_results(consumer: Any) -> None:  # noqa: ANN401 - Celery ships no types
    """Register the pool's pipes with the event loop, if Celery has removed them.

    Celery removes them when it loses a connection, and registers them again with the next one.
    """
    pipes = getattr(getattr(consumer.pool, "_pool", None), "_fileno_to_outq", {})
    if pipes and not pipes.keys() & consumer.hub.readers.keys():
        consumer.pool.register_with_event_loop(consumer.hub)


def _leave_broker(consumer: Any) -> None:  # noqa: ANN401 - Celery ships no types
    """Remove everything that uses the broker from the event loop; time limits of tasks stay.

    Each request would wait for its timeout, one after the other, and the results of tasks would not
    be read during that time.
    """
    channel = None if consumer.task_consumer is None else consumer.task_consumer.channel
    if isinstance(channel, Channel) and channel.connection is not None:
        channel.connection.cycle.close()
    consumer.hub.on_tick.clear()
    if consumer.event_dispatcher is not None:
        consumer.event_dispatcher.enabled = False
    for timer in consumer.hub.timer.queue:
        if str(getattr(timer.entry.fun, "__module__", "")).startswith(ASKING):
            timer.entry.cancel()


def _longest(consumer: Any) -> float:  # noqa: ANN401 - Celery ships no types
    """Return the longest hard time limit of the running tasks, in seconds."""
    default = consumer.app.conf.task_time_limit or 0
    return max((each.task.time_limit or default for each in consumer.running_requests()), default=0)


def _end_processes(pool: Any) -> None:  # noqa: ANN401 - Celery ships no types
    """Kill the processes of a prefork pool: they are idle, or their messages are redelivered."""
    processes = getattr(getattr(pool, "_pool", None), "_pool", None)
    if processes is None or not hasattr(pool._pool, "outbound_buffer"):  # noqa: SLF001 - see private_names.txt
        return
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    for process in processes:
        process.join()
    pool._pool._terminate.cancel()  # noqa: SLF001 - the same
    pool._pool = None  # noqa: SLF001 - the same
