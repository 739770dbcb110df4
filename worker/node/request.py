"""Celery's request, with hidden values and an outcome for every message."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from billiard.einfo import ExceptionInfo, ExceptionWithTraceback
from celery.exceptions import TimeLimitExceeded, WorkerLostError
from celery.worker import request as celery_request
from celery.worker import state

from tasks import facts
from tasks.errors import PoisonMessage
from tasks.events import log_event
from tasks.jobs import JOBS
from worker import outcomes
from worker.metrics import prometheus_counts
from worker.node.refusals import SERVER_ERRORS, error_location
from worker.node.refused import Refused

logger = logging.getLogger(__name__)

MAINTENANCE: Final = frozenset(job.name for job in JOBS)
LOST: Final = (WorkerLostError, TimeLimitExceeded, MemoryError, SystemExit, KeyboardInterrupt)
"""Errors of a task whose process terminated, was killed, or is unusable."""

SHOWN: Final = ("template_id", "version", "language", "code")
"""Facts that the events of a message have, with ``milliseconds``: columns of Flower."""


class Request(celery_request.Request):  # type: ignore[misc]  # Celery ships no types
    """A message on its way to a pool process and back.

    The pool calls it with the outcome of a task, and only logs errors that are raised here. So each
    method makes sure that the message is acknowledged, delivered again or made a dead letter.
    """

    def __init_subclass__(cls, **options: object) -> None:
        """Keep :meth:`on_success`: Celery creates a subclass for each task that overrides it."""
        super().__init_subclass__(**options)
        if "on_success" in vars(cls):
            del cls.on_success

    def __init__(self, message: Any, **options: Any) -> None:  # noqa: ANN401 - Celery's arguments
        super().__init__(message, **options)
        # The service sets time limits; a producer's are ignored.
        self.time_limits = (None, None)
        self._received_at = time.time()
        self._facts: dict[str, Any] = {}

    def info(self, safe: bool = False) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002 - Celery's signature
        """Return what ``inspect`` may show: never argument values."""
        information: dict[str, Any] = super().info(safe=True)
        return information

    def on_timeout(self, soft: bool, timeout: float) -> None:  # noqa: FBT001 - Celery's signature
        """Log the time limit. A hard limit kills the process, which :meth:`on_failure` handles."""
        name = "Soft" if soft else "Hard"
        logger.warning("%s time limit (%ss) exceeded for %s[%s]", name, timeout, self.name, self.id)

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """Count a message that a process has started."""
        outcomes.count(self.name, outcomes.STARTED)
        super().on_accepted(pid, time_accepted)
        sent = prometheus_counts.sent_at(self._request_dict, self._request_dict["properties"])
        queue = self._delivery_info["routing_key"]
        prometheus_counts.started(queue, sent, self._received_at, self.time_start)

    def send_event(self, type: str, **fields: Any) -> None:  # noqa: A002, ANN401 - Celery's arguments
        """Send an event, with ids and numbers of a message that has ended for Flower."""
        super().send_event(type, **fields, **self._facts)

    def on_success(self, failed__retval__runtime: tuple[Any, Any, float], **options: Any) -> None:  # noqa: ANN401 - Celery's arguments
        """Acknowledge a message whose answer is stored."""
        if isinstance(failed__retval__runtime, ExceptionInfo):
            # A task in a thread pool has raised an exception that would end a process.
            self.on_failure(failed__retval__runtime, return_ok=True)
            return
        failed, returned, seconds = failed__retval__runtime
        if failed:
            self.on_failure(returned, return_ok=True)
            return
        outcomes.count(self.name, outcomes.SUCCEEDED)
        self._finished(outcomes.SUCCEEDED, facts.of_answer(returned), seconds)
        with self._ends(is_answered=True):
            super().on_success(failed__retval__runtime, **options)

    def on_failure(
        self,
        exc_info: ExceptionInfo,
        send_failed_event: bool = True,  # noqa: FBT001, FBT002 - Celery's signature
        return_ok: bool = False,  # noqa: FBT001, FBT002 - Celery's signature
    ) -> None:
        """Acknowledge a message that was refused or is retried; handle a lost process."""
        error = exc_info.exception
        if isinstance(error, ExceptionWithTraceback):
            error = error.exc
        if isinstance(error, LOST):
            with self._ends(is_answered=False):
                self._on_lost(error, exc_info)
            return
        outcome = outcomes.outcome_of(error)
        outcomes.count(self.name, outcome)
        known = facts.of_error(error)
        self._finished(outcome, known, known.get("milliseconds", 0.0) / 1000)
        # A task has stored its answer before it ends with an error: see tasks.answers.
        with self._ends(is_answered=True):
            super().on_failure(exc_info, send_failed_event, return_ok)

    def _on_lost(self, error: BaseException, exc_info: ExceptionInfo) -> None:
        """Retry a message whose process was lost, or make it a dead letter."""
        if self._already_cancelled or self._already_revoked:
            super().on_failure(exc_info)
            return
        state.task_ready(self)
        if self._success_was_stored():
            self.acknowledge()
            return
        tries = self._context.retries + 1
        log_event(
            logger,
            "process_lost",
            level=logging.WARNING,
            task=self.name,
            id=self.id,
            pid=self.worker_pid,
            tries=tries,
            error=type(error).__name__,
        )
        outcomes.count(self.name, outcomes.FAILED)
        prometheus_counts.lost_process()
        if self._may_retry(error, tries) and self._retry_worker_lost(error, exc_info):
            return
        reason = f"the message ended its process {tries} times and is a dead letter now"
        poison = PoisonMessage.at("", "poison", reason, "its process ended each time")
        self.send_event("task-failed", exception=repr(poison), traceback="")
        self._refuse(poison.code, poison.message, poison)

    def _may_retry(self, error: BaseException, tries: int) -> bool:
        # Maintenance that exceeded its time limit would do so again.
        is_overrun = isinstance(error, TimeLimitExceeded) and self.name in MAINTENANCE
        return tries <= self.task.max_retries and not is_overrun

    def _finished(self, outcome: str, known: dict[str, Any], seconds: float) -> None:
        """Count a finished message, and record the facts for its event."""
        prometheus_counts.finished(self.task.name, outcome, known, seconds)
        self._facts = {name: known[name] for name in SHOWN if name in known}
        self._facts["milliseconds"] = round(seconds * 1000, 1)

    @contextmanager
    def _ends(self, *, is_answered: bool) -> Iterator[None]:
        """Acknowledge, requeue or refuse the message if the block raises.

        Parameters
        ----------
        is_answered
            Whether its answer is stored, so that only the acknowledgement is missing.
        """
        try:
            yield
        except BaseException as error:  # noqa: BLE001 - a task may have raised SystemExit
            state.task_ready(self)
            place = error_location(error)
            logger.error("Celery could not follow %s[%s]: %s", self.name, self.id, place)  # noqa: TRY400 - its message may hold values
            # Celery's acknowledgement may still be on its way to the event loop.
            if self.acknowledged or self.message.acknowledged:
                return
            if is_answered:
                self.acknowledge()
            elif isinstance(error, SERVER_ERRORS):
                self.reject(requeue=True)
            else:
                reason = f"Celery could not follow it: {type(error).__name__}"
                self._refuse("failed", reason, PoisonMessage.of(reason, []))

    def _refuse(self, kind: str, reason: str, error: PoisonMessage) -> None:
        message = self.message
        message.refusals.add(
            Refused(
                channel=message.channel,
                tag=message.delivery_tag,
                kind=kind,
                reason=reason,
                task_id=self.id,
                error=error,
                problems=error.details,
                message=message,
                task=self.name,
            )
        )
