"""beat's scheduler: the database records each run, so any number of beats may run.

Celery's scheduler stores its times in a file: two beats send everything twice, a lost file skips
runs that were due, and a failed publish skips its run, since its time is stored first. Here a run
is recorded and sent in one transaction. A second beat finds the record. If beat dies between
sending and commit, the record is rolled back and the run is sent again under the same id, by which
its task detects the duplicate.
"""

import copy
import logging
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from celery import beat
from celery.schedules import crontab
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from db import runs
from db.locks import alone
from db.session import is_transient, make_engine
from tasks.events import log_event
from tasks.runs import QUIET
from worker.configuration import configuration
from worker.metrics import health
from worker.settings import load

logger = logging.getLogger(__name__)

RETRY_SECONDS: Final = 5.0
HELD_SECONDS: Final = 5.0
"""For which the lock of a run that is not recorded is held: the clocks of beats differ by less."""
MINUTE: Final = timedelta(minutes=1)
DAYS: Final = 366 * 8
"""How far back to search for a due time: every cron date, also 29 February, is within 8 years."""


class Scheduler(beat.Scheduler):  # type: ignore[misc]  # Celery ships no types
    """Sends each due run of the schedule once, however many beats run.

    After an outage of all beats, each task that was due is sent once. A new task of the schedule
    starts with its next due time.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - Celery's arguments
        self._engine = make_engine(
            configuration(load()).maintenance, application_name="template-service beat"
        )
        self._seen: dict[str, datetime] = {}
        self._held = ExitStack()
        self._is_holding = False
        super().__init__(*arguments, **options)

    def tick(self, *_: object, **__: object) -> float:
        """Send due messages; return the seconds until the next may be due."""
        health.current().turned()
        if (heartbeat := load().heartbeat_file) != "":
            Path(heartbeat).touch()
        now = self.now()
        try:
            self._held.close()
            self._is_holding = False
            # A list, so that every entry is tried even if another has failed. Those that hold a
            # connection come last: the pool may have one only.
            entries = sorted(self.schedule.values(), key=lambda entry: entry.task in QUIET)
            results = [self._send_if_due(entry, now) for entry in entries]
            is_done = all(results)
        except SQLAlchemyError as error:
            if not is_transient(error):
                raise
            cause = error.orig if isinstance(error, DBAPIError) else error
            log_event(logger, "beat_waits", level=logging.WARNING, error=type(cause).__name__)
            is_done = False
        if not is_done:
            return RETRY_SECONDS
        next_minute = now.replace(second=0, microsecond=0) + MINUTE
        seconds = max(0.0, (next_minute - self.now()).total_seconds())
        return min(seconds, HELD_SECONDS) if self._is_holding else seconds

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC)

    def close(self) -> None:
        """Close the connections."""
        super().close()
        self._held.close()
        self._engine.dispose()

    @property
    def info(self) -> str:
        """Beat's line about its schedule when it starts."""
        return "    . runs sent -> table maintenance_runs"

    def _send_if_due(self, entry: Any, now: datetime) -> bool:  # noqa: ANN401 - Celery ships no types
        """Send an entry if it is due and unsent; return False if it must be tried again."""
        due = last_due(entry.schedule, now)
        seen = self._seen.get(entry.name)
        if due is None or seen == due:
            return True
        run_id = f"{entry.task}@{due:%Y-%m-%dT%H:%MZ}"
        if seen is None:
            runs.pass_over(self._engine, entry.task, run_id, due)
        try:
            self._send(entry, run_id, due)
        except beat.SchedulingError as error:
            # The cause is the error of kombu or redis-py.
            cause = type(error.__cause__ or error).__name__
            log_event(
                logger,
                "beat_not_sent",
                level=logging.ERROR,
                task=entry.task,
                id=run_id,
                error=cause,
            )
            return False
        self._seen[entry.name] = due
        return True

    def _send(self, entry: Any, run_id: str, due: datetime) -> None:  # noqa: ANN401 - Celery ships no types
        # Before the transaction: this blocks while the broker is unavailable.
        producer = self.producer
        with self._claimed(entry.task, run_id, due) as is_mine:
            if is_mine:
                sent = copy.copy(entry)
                sent.options = {**entry.options, "task_id": run_id}
                self.apply_async(sent, producer=producer, advance=False)
                late = (self.now() - due).total_seconds()
                log_event(logger, "beat_sent", task=entry.task, id=run_id, late_seconds=late)

    def _claimed(self, task: str, run_id: str, due: datetime) -> AbstractContextManager[bool]:
        """Claim a run in the table; an unrecorded run by a lock for some seconds.

        Beats with nearly the same time check a minute at the same moment. A beat that starts
        later in it may send the run again, which is harmless.
        """
        if task not in QUIET:
            return runs.claimed(self._engine, task, run_id, due)
        if runs.is_known(self._engine, task, due):
            return nullcontext(enter_result=False)
        self._is_holding = True
        return nullcontext(self._held.enter_context(alone(self._engine, run_id)))


def last_due(schedule: crontab, now: datetime) -> datetime | None:
    """Return the last due time of a schedule at or before ``now``; None if there was none.

    A day must match both the day of the month and the day of the week, as in Celery.
    """
    moment = now.replace(second=0, microsecond=0)
    for _ in range(DAYS):
        if (
            moment.month in schedule.month_of_year
            and moment.day in schedule.day_of_month
            and moment.isoweekday() % 7 in schedule.day_of_week
        ):
            clock = (moment.hour, moment.minute)
            fitting = [
                (hour, minute)
                for hour in schedule.hour
                for minute in schedule.minute
                if (hour, minute) <= clock
            ]
            if fitting:
                hour, minute = max(fitting)
                return moment.replace(hour=hour, minute=minute)
        moment = moment.replace(hour=23, minute=59) - timedelta(days=1)
    return None
