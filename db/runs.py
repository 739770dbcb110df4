"""Runs of maintenance: each due time is sent once, and each message is handled once.

beat records its messages in the database, in one transaction with the sending: two beats cannot
send the same run, and none is lost when one of them restarts.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection as SqlConnection
from sqlalchemy import Engine, text
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.sql import bindparam

from db.session import quick_transaction

# Both wait for another beat that is sending the same run, because of the primary key.
_CLAIM: Final = text("""
INSERT INTO maintenance_runs (task, id, due_at, state)
SELECT d.task, d.id, d.due_at, 'sent'
FROM (SELECT CAST(:task AS text), CAST(:id AS text), CAST(:due_at AS timestamptz))
    AS d (task, id, due_at)
WHERE NOT EXISTS (
    SELECT FROM maintenance_runs AS r WHERE r.task = d.task AND r.due_at >= d.due_at
)
ON CONFLICT DO NOTHING
""")
_PASS_OVER: Final = text("""
INSERT INTO maintenance_runs (task, id, due_at, state)
SELECT d.task, d.id, d.due_at, 'passed'
FROM (SELECT CAST(:task AS text), CAST(:id AS text), CAST(:due_at AS timestamptz))
    AS d (task, id, due_at)
WHERE NOT EXISTS (
    SELECT FROM maintenance_runs AS r WHERE r.task = d.task AND r.due_at IS NOT NULL
)
ON CONFLICT DO NOTHING
""")
_IS_KNOWN: Final = text("""
SELECT EXISTS (SELECT FROM maintenance_runs WHERE task = :task AND due_at >= :due_at)
""")
RECORD_SECONDS: Final = 600.0
"""Metrics and history read recorded reports. Each record is WAL, and an idle server would archive
a segment for it: 6 an hour instead of 60."""
_LAST_END: Final = text("""
SELECT error, extract(epoch FROM clock_timestamp() - finished_at)::float8 AS age
FROM maintenance_runs
WHERE task = :task AND state IN ('done', 'failed')
ORDER BY created_at DESC
LIMIT 1
""")
_BEGIN: Final = text("""
INSERT INTO maintenance_runs AS r (task, id, state, started_at)
VALUES (:task, :id, 'running', clock_timestamp())
ON CONFLICT (task, id) DO UPDATE
SET state = 'running', started_at = clock_timestamp(), finished_at = NULL, error = NULL
WHERE r.state <> 'done'
""")
_RESULT: Final = text("SELECT result FROM maintenance_runs WHERE task = :task AND id = :id")
# A message that is delivered twice at the same time runs once; the skipped copy must not overwrite
# the result of the other one.
_END: Final = text("""
UPDATE maintenance_runs
SET state = :state, finished_at = clock_timestamp(), result = :result, error = :error
WHERE task = :task AND id = :id AND state <> 'done'
""").bindparams(bindparam("result", type_=JSON(none_as_null=True)))
_NEWEST: Final = text("""
WITH newest AS (
    SELECT DISTINCT ON (task)
        task, id, due_at, state, created_at, started_at, finished_at, result, error
    FROM maintenance_runs
    ORDER BY task, created_at DESC
)
SELECT n.*, (
    SELECT max(finished_at) FROM maintenance_runs WHERE task = n.task AND state = 'done'
) AS done_at
FROM newest AS n
ORDER BY n.task
""")
_TABLE: Final = text("SELECT to_regclass('maintenance_runs')")
_FAILED: Final = text("""
SELECT * FROM (
    SELECT DISTINCT ON (task)
        task, id, due_at, state, created_at, started_at, finished_at, result, error
    FROM maintenance_runs
    WHERE finished_at IS NOT NULL AND state <> 'skipped'
    ORDER BY task, created_at DESC
) AS newest
WHERE state = 'failed'
ORDER BY task
""")
_OF_TASK: Final = text("""
SELECT task, id, due_at, state, created_at, started_at, finished_at, result, error
FROM maintenance_runs
WHERE task = :task
ORDER BY created_at DESC
LIMIT :limit
""")


_LAST: Final = text("""
SELECT t.task, r.state, r.error,
    extract(epoch FROM r.finished_at - r.started_at)::float8 AS seconds,
    extract(epoch FROM clock_timestamp() - r.finished_at)::float8 AS age,
    extract(epoch FROM clock_timestamp() - d.finished_at)::float8 AS done_age
FROM unnest(CAST(:tasks AS text[])) AS t (task)
CROSS JOIN LATERAL (
    SELECT state, error, started_at, finished_at FROM maintenance_runs
    WHERE task = t.task AND finished_at IS NOT NULL ORDER BY created_at DESC LIMIT 1
) AS r
LEFT JOIN LATERAL (
    SELECT finished_at FROM maintenance_runs
    WHERE task = t.task AND state = 'done' ORDER BY created_at DESC LIMIT 1
) AS d ON true
ORDER BY t.task
""")
_LAST_RESULT: Final = text("""
SELECT result FROM maintenance_runs WHERE task = :task AND state = 'done'
ORDER BY created_at DESC LIMIT 1
""")


class Run(NamedTuple):
    """A run as it is stored; see :class:`db.models.MaintenanceRun`."""

    task: str
    id: str
    due_at: datetime | None
    state: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    result: dict[str, Any] | None
    error: str | None


class Newest(NamedTuple):
    """The newest run of a task, and the end of its last successful run, or None."""

    run: Run
    done_at: datetime | None


class Ended(NamedTuple):
    """The newest run of a task that has ended; times are seconds.

    Attributes
    ----------
    age
        Since its end.
    done_age
        Since the end of the newest successful run; None if no run ever succeeded.
    """

    task: str
    state: str
    error: str | None
    seconds: float | None
    age: float
    done_age: float | None


@contextmanager
def claimed(engine: Engine, task: str, run_id: str, due_at: datetime) -> Iterator[bool]:
    """Claim a due run of ``task``; yield whether neither it nor a later one was claimed before.

    The claim is committed when the block succeeds. If sending fails, another beat may claim it; if
    the commit fails afterwards, the run is sent again with the same id.
    """
    with quick_transaction(engine) as connection:
        parameters = {"task": task, "id": run_id, "due_at": due_at}
        yield connection.execute(_CLAIM, parameters).rowcount == 1


def pass_over(engine: Engine, task: str, run_id: str, due_at: datetime) -> None:
    """Start the schedule of a new task after a due time in the past."""
    with quick_transaction(engine) as connection:
        connection.execute(_PASS_OVER, {"task": task, "id": run_id, "due_at": due_at})


def is_known(engine: Engine, task: str, due_at: datetime) -> bool:
    """Return whether a due run of ``task``, or a later one, is recorded. Nothing is written."""
    with quick_transaction(engine) as connection:
        parameters = {"task": task, "due_at": due_at}
        return bool(connection.execute(_IS_KNOWN, parameters).scalar_one())


def differs(engine: Engine, task: str, error: str | None) -> bool:
    """Return whether the last recorded run of ``task`` ended in another way than with ``error``.

    One that is older than :data:`RECORD_SECONDS` counts as different.
    """
    with quick_transaction(engine) as connection:
        row = connection.execute(_LAST_END, {"task": task}).one_or_none()
    return row is None or row.error != error or row.age > RECORD_SECONDS


def begin(engine: Engine, task: str, run_id: str) -> dict[str, Any] | None:
    """Record the start of a run; return the result if a run with that id is already done."""
    with quick_transaction(engine) as connection:
        parameters = {"task": task, "id": run_id}
        if connection.execute(_BEGIN, parameters).rowcount:
            return None
        result: dict[str, Any] = connection.execute(_RESULT, parameters).scalar_one()
        return result


def end(engine: Engine, task: str, run_id: str, result: Mapping[str, Any]) -> None:
    """Record the result of a run, with ``skipped`` if it was skipped."""
    state = "skipped" if result.get("skipped") else "done"
    _end(engine, task, run_id, state=state, result=dict(result), error=None)


def fail(engine: Engine, task: str, run_id: str, error: str) -> None:
    """Record the failure of a run, with the kind of its error."""
    _end(engine, task, run_id, state="failed", result=None, error=error)


def newest(engine: Engine) -> list[Newest]:
    """Return the newest run of each task, by name."""
    with engine.connect() as connection:
        return [Newest(Run(*row[:-1]), row[-1]) for row in connection.execute(_NEWEST)]


def failed(engine: Engine) -> list[Run]:
    """Return the newest run of each task whose newest finished run has failed, by name."""
    with engine.connect() as connection:
        if connection.scalar(_TABLE) is None:  # before the first migration
            return []
        return [Run(*row) for row in connection.execute(_FAILED)]


def ended(connection: SqlConnection, tasks: Sequence[str]) -> list[Ended]:
    """Return the newest run of each task that has ended."""
    return [Ended(*row) for row in connection.execute(_LAST, {"tasks": list(tasks)})]


def last_result(connection: SqlConnection, task: str) -> dict[str, Any] | None:
    """Return the result of the newest run of a task that succeeded."""
    result: dict[str, Any] | None = connection.execute(_LAST_RESULT, {"task": task}).scalar()
    return result


def of_task(engine: Engine, task: str, limit: int) -> list[Run]:
    """Return the ``limit`` newest runs of a task, the newest first."""
    with engine.connect() as connection:
        return [Run(*row) for row in connection.execute(_OF_TASK, {"task": task, "limit": limit})]


def _end(
    engine: Engine,
    task: str,
    run_id: str,
    **columns: Any,  # noqa: ANN401 - column values
) -> None:
    with quick_transaction(engine) as connection:
        connection.execute(_END, {"task": task, "id": run_id} | columns)
