"""Maintenance runs are recorded in the database, and each message is processed once."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from db import runs
from db.errors import OperationError
from db.postgres_errors import permanent_errors_explained
from db.session import make_engine
from tasks.messages.base import Message, Result
from tasks.runtime import Runtime
from tasks.time_limit import striking_anywhere

M = TypeVar("M", bound=Message)


def recorded(
    task: str,
    run_id: str,
    message: M,
    process: Runtime,
    do: Callable[[M, Runtime], Result],
) -> dict[str, Any]:
    """Run a maintenance task and record the run.

    A message that is redelivered, or sent by two beats, gets the result of the first run. A dry run
    is not recorded.

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
    if getattr(message, "dry_run", False):
        with striking_anywhere():
            return do(message, process).model_dump(mode="json")
    # Its own statements are quick ones, whatever those of the maintenance take.
    configuration = process.configuration
    timeout = configuration.database.statement_timeout
    engine = make_engine(replace(configuration.maintenance, statement_timeout=timeout))
    try:
        with permanent_errors_explained():
            known = runs.begin(engine, task, run_id)
        if known is not None:
            return known
        try:
            with striking_anywhere():
                result = do(message, process).model_dump(mode="json")
        except Exception as error:
            kind = error.kind if isinstance(error, OperationError) else type(error).__name__
            # A database that is away is the error to report then.
            with suppress(SQLAlchemyError):
                runs.fail(engine, task, run_id, kind)
            raise
        runs.end(engine, task, run_id, result)
        return result
    finally:
        engine.dispose()
