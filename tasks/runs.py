"""Maintenance runs: recorded in the database and logged; each message is processed once."""

import logging
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from db import runs
from db.errors import OperationError, file_error
from db.hooks import run_hook
from db.postgres_errors import permanent_errors_explained
from db.session import make_engine
from tasks.configuration import Configuration
from tasks.events import log_event
from tasks.messages.base import Result
from tasks.messages.maintenance import Maintain
from tasks.runtime import Runtime

logger = logging.getLogger(__name__)

QUIET: Final = frozenset({"maintenance.report", "maintenance.activate_scheduled"})
"""Run each minute: an event at DEBUG when nothing is wrong, and a record of a change,
and of one run in ten minutes.

A row for each would be WAL for each: an idle server would archive a segment a minute.
"""


class Run:
    """A run of a job: the runtime of its process, and the one engine of its maintenance role.

    The engine has no statement timeout, and is closed with the run.
    """

    def __init__(self, process: Runtime) -> None:
        self.process = process

    @property
    def configuration(self) -> Configuration:
        """Policies of maintenance."""
        return self.process.configuration

    @cached_property
    def engine(self) -> Engine:
        """The engine, made on first use."""
        return make_engine(self.configuration.maintenance)

    def close(self) -> None:
        """Close the engine's connections, if there are any."""
        if "engine" in self.__dict__:
            self.engine.dispose()


Do = Callable[[Maintain, Run], Result]


def recorded(task: str, run_id: str, message: Maintain, process: Runtime, do: Do) -> dict[str, Any]:
    """Run a job, record it, and log its numbers.

    A message that is redelivered, or sent by two beats, gets the result of the first run. A dry run
    is not recorded, and of :data:`QUIET` only a run that ends in another way than the last one.

    Parameters
    ----------
    task
        Its name, such as ``maintenance.vacuum``.
    run_id
        The task id of the message: the same one for each copy of it.

    Returns
    -------
    dict
        The result, a JSON object.
    """
    run = Run(process)
    start = time.monotonic()
    is_kept = not message.dry_run and task not in QUIET
    try:
        if is_kept:
            with permanent_errors_explained():
                known = runs.begin(run.engine, task, run_id)
            if known is not None:
                log_event(logger, "maintenance_repeated", task=task, id=run_id)
                return known
        try:
            result = _done(do, message, run).model_dump(mode="json")
        except Exception as error:
            code = _code(error)
            seconds = time.monotonic() - start
            log_event(
                logger,
                "maintenance_failed",
                level=logging.ERROR,
                task=task,
                id=run_id,
                seconds=seconds,
                error=code,
            )
            if not message.dry_run:
                _record_failure(run.engine, task, run_id, code)
            raise
        if is_kept or (not message.dry_run and runs.differs(run.engine, task, None)):
            if not is_kept:
                runs.begin(run.engine, task, run_id)
            runs.end(run.engine, task, run_id, result)
    finally:
        run.close()
    level = logging.DEBUG if task in QUIET else logging.INFO
    seconds = time.monotonic() - start
    figures = numbers(result) | {"seconds": seconds}
    log_event(logger, "maintenance_done", level=level, task=task, id=run_id, **figures)
    return result


def _done(do: Do, message: Maintain, run: Run) -> Result:
    try:
        return do(message, run)
    except OSError as error:
        if (known := file_error(error)) is None:
            raise
        raise known from error


def notify(configuration: Configuration, task: str, run_id: str, error: Exception) -> None:
    """Run the operator's command for a run that failed; its own failure is logged."""
    facts = {"task": task, "id": run_id, "error": _code(error)}
    if isinstance(error, OperationError):
        facts |= {"message": error.message, "remedy": error.remedy}
    try:
        run_hook(configuration.operations.notify_command, "run_failed", facts)
    except OperationError as refused:
        log_event(
            logger,
            "notification_failed",
            level=logging.ERROR,
            task=task,
            id=run_id,
            error=refused.message,
        )


def _code(error: Exception) -> str:
    return error.kind if isinstance(error, OperationError) else type(error).__name__


def numbers(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result's single words and numbers; for lists and tables, their lengths."""
    shown: dict[str, Any] = {}
    for key, value in result.items():
        if isinstance(value, list | dict):
            shown[key] = len(value)
        elif value is not None and value is not False and value != "":
            shown[key] = value
    return shown


def _record_failure(engine: Engine, task: str, run_id: str, code: str) -> None:
    try:
        if task in QUIET:
            if not runs.differs(engine, task, code):
                return
            runs.begin(engine, task, run_id)
        runs.fail(engine, task, run_id, code)
    except SQLAlchemyError:
        # If the database is unavailable, the job's own error says so.
        log_event(logger, "maintenance_unrecorded", level=logging.WARNING, task=task, id=run_id)
