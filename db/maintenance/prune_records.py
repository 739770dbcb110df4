"""Delete old records of completed writes and of runs of maintenance."""

from typing import Final

from sqlalchemy import Connection, Engine, TextClause, text

from db.locks import alone
from db.maintenance.batches import Deleted, in_batch

TASK: Final = "maintenance.prune_records"
RUNS_KEPT: Final = 1000
"""For each task: most of a day if it runs every minute, years for the others."""

_OLD_RECORDS: Final = """
SELECT key
FROM idempotency_records
WHERE created_at < now() - make_interval(days => :days)
"""
_OLD_RUNS: Final = f"""
SELECT task, id
FROM (
    SELECT task, id, row_number() OVER (PARTITION BY task ORDER BY created_at DESC) AS place
    FROM maintenance_runs
) AS ranked
WHERE place > {RUNS_KEPT}
"""  # noqa: S608 - no input
_COUNT: Final = text(
    f"SELECT (SELECT count(*) FROM ({_OLD_RECORDS}) AS r)"  # noqa: S608 - no input
    f" + (SELECT count(*) FROM ({_OLD_RUNS}) AS u)"
)
# Runs that another session has locked are skipped, as records are.
_DELETES: Final = (
    text(f"""
    DELETE FROM idempotency_records
    WHERE key IN ({_OLD_RECORDS} ORDER BY created_at LIMIT :batch FOR UPDATE SKIP LOCKED)
    """),  # noqa: S608 - no input
    text(f"""
    DELETE FROM maintenance_runs
    WHERE (task, id) IN (
        SELECT task, id FROM maintenance_runs
        WHERE (task, id) IN ({_OLD_RUNS})
        LIMIT :batch
        FOR UPDATE SKIP LOCKED
    )
    """),  # noqa: S608 - no input
)


def prune_records(engine: Engine, *, days: int, batch: int, dry_run: bool) -> Deleted:
    """Delete records of writes older than ``days`` days, and old runs of each task."""
    done = Deleted()
    with alone(engine, TASK) as free:
        if not free:
            return Deleted(skipped=True)
        with engine.connect() as connection:
            if dry_run:
                done.rows = connection.scalar(_COUNT, {"days": days}) or 0
                return done
            for statement in _DELETES:
                _delete_all(connection, done, statement, {"days": days, "batch": batch})
    return done


def _delete_all(
    connection: Connection, done: Deleted, statement: TextClause, parameters: dict[str, int]
) -> None:
    has_more = True

    def delete() -> int | None:
        nonlocal has_more
        rows = connection.execute(statement, parameters).rowcount
        has_more = rows > 0
        return rows or None

    # A lock on the first rows would block the next attempt too.
    while has_more and in_batch(connection, done, delete):
        pass
