"""How a worker ends: at once when it is idle, otherwise when its running tasks are done.

Celery sleeps through its soft shutdown in a signal handler, while nobody reads the results of the
tasks it waits for, and its pool needs another second for each process. Here the event loop goes on
until the last task has been answered and acknowledged; what was not begun is put back first.

===========  ===================================================================
signal       the worker
===========  ===================================================================
SIGTERM      ends when the running tasks are done
SIGQUIT      the same, but interrupts what runs after ``soft_seconds``; so does SIGTERM where
             ``REMAP_SIGTERM=SIGQUIT`` is set
the second   interrupts what runs, whose messages are delivered again
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

from worker.transport import Channel, keep_in_hand, leave_all, put_back_unknown, release_done

logger = logging.getLogger(__name__)

GRACE_SECONDS: Final = 10.0
"""How long a task may outlast its hard time limit, which ends its process, before the worker ends
without it."""
REST_SECONDS: Final = 5.0
"""How long the rest of a shutdown may take once no task runs: Celery closes connections to servers
that may not answer, one time-out after the other. Nothing of it matters to a message."""
FLUSH_SECONDS: Final = 2.0
"""How long the last acknowledgements wait for a broker that does not take them."""


class Shutdown:
    """The end of one worker, as its signals ask for it."""

    def __init__(self, soft_seconds: float) -> None:
        self._soft_seconds = soft_seconds
        self._deadline: float | None = None
        self._asked = 0
        self.is_drained = False
        self._hub: Any = None

    def listen(self, hub: Any) -> None:  # noqa: ANN401 - kombu ships no types
        """Take the signals over from Celery; called in the main thread."""
        self._hub = hub
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
        _stop_taking(consumer)
        consumer.on_close()
        with contextlib.suppress(*consumer.connection_errors, *consumer.channel_errors):
            put_back_unknown()
        watch = _end_after(_longest(consumer) + GRACE_SECONDS)
        while consumer.running_requests() and not self.is_over:
            _turn(consumer)
        if interrupted := consumer.running_requests():
            logger.warning("%d tasks are interrupted, to be done again", len(interrupted))
            keep_in_hand(set())
        # The acknowledgements of the last tasks are callbacks that the loop has not called yet.
        _turn(consumer)
        _end_processes(consumer.pool)
        for do in (release_done, leave_all):
            _retried(do, consumer)
        self.is_drained = True
        watch.cancel()
        _end_after(REST_SECONDS)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self._asked += 1
        is_soft = number == signal.SIGQUIT or os.environ.get("REMAP_SIGTERM") == "SIGQUIT"
        if self._asked > 1 and is_soft:
            self._deadline = time.monotonic()
        elif is_soft:
            self._deadline = time.monotonic() + self._soft_seconds
        state.should_stop = 0
        if self._hub is not None:
            # The poll of the loop goes on after a signal; a call from another thread wakes it.
            threading.Thread(target=self._hub.call_soon, args=(_nothing,), daemon=True).start()


def _nothing() -> None:
    """Be a callback."""


def _stop_taking(consumer: Any) -> None:  # noqa: ANN401 - Celery ships no types
    if consumer.task_consumer is not None:
        with contextlib.suppress(*consumer.connection_errors, *consumer.channel_errors):
            consumer.task_consumer.cancel()


def _turn(consumer: Any) -> None:  # noqa: ANN401 - Celery ships no types
    """Run the event loop once; a broker that is away must not end the waiting for tasks."""
    try:
        consumer.hub.run_once()
    except (*consumer.connection_errors, *consumer.channel_errors) as error:
        logger.warning("The broker is away during the shutdown: %s", error)
        channel = None if consumer.task_consumer is None else consumer.task_consumer.channel
        if isinstance(channel, Channel) and channel.connection is not None:
            channel.connection.cycle.close()
        consumer.hub.on_tick.clear()


def _longest(consumer: Any) -> float:  # noqa: ANN401 - Celery ships no types
    """Return the longest hard time limit of what runs, in seconds."""
    default = consumer.app.conf.task_time_limit or 0
    return max((each.task.time_limit or default for each in consumer.running_requests()), default=0)


def _end_processes(pool: Any) -> None:  # noqa: ANN401 - Celery ships no types
    """End the processes of a prefork pool; they are idle, or what they do is to be done again."""
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


def _retried(do: Callable[[], None], consumer: Any) -> None:  # noqa: ANN401 - Celery ships no types
    deadline = time.monotonic() + FLUSH_SECONDS
    while True:
        try:
            return do()
        except (*consumer.connection_errors, *consumer.channel_errors) as error:
            if time.monotonic() > deadline:
                logger.warning("The last acknowledgements were not taken: %s", error)
                return None
            time.sleep(0.2)


def _end_after(seconds: float) -> threading.Timer:
    """End the process after some time, unless it has ended or the timer is cancelled before."""
    timer = threading.Timer(seconds, _end)
    timer.daemon = True
    timer.start()
    return timer


def _end() -> None:
    logger.warning("The process ends without waiting for servers that do not answer")
    os._exit(1)
