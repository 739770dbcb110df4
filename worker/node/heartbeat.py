"""Heartbeat: the age of a file, or ``/healthz``, is a cheap health check of a worker.

``celery inspect ping`` starts a Celery client and asks over the broker, which costs most of a
second of CPU each time; reading the age of a file costs nothing.
"""

import logging
from pathlib import Path
from typing import Any

from celery import bootsteps
from celery.worker.consumer.tasks import Tasks

from worker.metrics import health
from worker.node.progress import Work, is_stuck, progressed_at, work_of
from worker.settings import SettingsError, environment_name, load

logger = logging.getLogger(__name__)

EVERY = 5.0  # seconds


class Heartbeat(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery ships no types
    """Touches the file of ``TEMPLATE_SERVICE_HEARTBEAT_FILE`` while the consumer is connected.

    The file is created when the queues are consumed, and removed when the worker stops or loses its
    broker. Under the prefork pool the timer belongs to the event loop that receives messages, so
    the file becomes stale if that loop hangs. It also becomes stale if messages are in hand and
    none makes progress for the time limit of a task.
    """

    requires = (Tasks,)

    def __init__(self, consumer: Any, **options: Any) -> None:  # noqa: ANN401 - Celery's arguments
        super().__init__(consumer, **options)
        self.file = Path(load().heartbeat_file)
        self._has_file = load().heartbeat_file != ""
        self.enabled = self._has_file or load().metrics_address != ""
        self._allowed = float(load().task_time_limit)
        self._timer: Any = None
        self._work: Work | None = None
        self._progressed_at = 0.0
        self._is_stuck = False

    def create(self, consumer: Any) -> None:  # noqa: ANN401, ARG002 - Celery's arguments
        """Check that the file can be created, and remove the file of a killed worker.

        Raises
        ------
        SettingsError
            Naming the setting.
        """
        if not self._has_file:
            return
        try:
            self.file.touch()
            self.file.unlink()
        except OSError as error:
            name = environment_name("heartbeat_file")
            raise SettingsError(
                f"template-service cannot start:\n"
                f"{name}: expected a file that can be written: {error.strerror}"
            ) from None

    def start(self, consumer: Any) -> None:  # noqa: ANN401 - Celery's consumer
        """Start the timer that touches the file. Called after each connection to the broker."""
        self._work = None
        self._touch()
        self._timer = consumer.timer.call_repeatedly(EVERY, self._beat, (consumer,))

    def stop(self, consumer: Any) -> None:  # noqa: ANN401, ARG002 - Celery's arguments
        """Stop the timer and remove the file: no more messages are received."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        health.current().disconnected()
        if self._has_file:
            self.file.unlink(missing_ok=True)

    # Celery calls terminate instead of stop in a cold shutdown.
    terminate = stop

    def _beat(self, consumer: Any) -> None:  # noqa: ANN401 - Celery's consumer
        work = work_of(consumer)
        last = work.at if self._work is None else self._progressed_at
        self._progressed_at = progressed_at(last, self._work or work, work)
        self._work = work
        if is_stuck(work, self._progressed_at, self._allowed):
            if not self._is_stuck:
                logger.error(
                    "The worker is stuck, the heartbeat file is not touched: "
                    "%d messages in hand, no progress for %.0f seconds",
                    len(work.in_hand),
                    work.at - self._progressed_at,
                )
            self._is_stuck = True
            health.current().turned("messages are in hand and make no progress")
            return
        if self._is_stuck:
            logger.warning("The worker makes progress again")
        self._is_stuck = False
        self._touch()

    def _touch(self) -> None:
        health.current().turned()
        if not self._has_file:
            return
        try:
            self.file.touch()
        except OSError as error:
            # A full disk must not stop the worker; its health check fails.
            logger.warning("The heartbeat file cannot be written: %s", error.strerror)
