"""Maintenance of the tables: vacuum, statistics, and cleanups that never block a render.

Each runs once even if two were started: a transaction-level advisory lock is held meanwhile
(session-level ones break behind a transaction pooler), and who does not get it goes away.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine, text

TABLES: Final = ("templates", "template_versions", "template_translations")
# Below every render's and publish's patience; a cleanup that meets a lock tries again next time.
LOCK_TIMEOUT: Final = "2s"
_FIRST: Final = UUID(int=0)

_PURGEABLE = text("""
SELECT count(*) FROM templates
WHERE deleted_at < now() - make_interval(days => :days)
""")
_PURGE = text("""
DELETE FROM templates
WHERE id IN (
    SELECT id FROM templates
    WHERE deleted_at < now() - make_interval(days => :days)
    ORDER BY deleted_at
    LIMIT :batch
    FOR UPDATE SKIP LOCKED
)
""")
# Templates are walked in the order of their ids, so that each batch is small and none is read
# twice. Their rows are locked against a publish or activate that would change what is current.
_CROWDED = text("""
SELECT t.id FROM templates AS t
WHERE t.id > :after
    AND (SELECT count(*) FROM template_versions AS v WHERE v.template_id = t.id) > :keep
ORDER BY t.id
LIMIT :batch
FOR NO KEY UPDATE OF t SKIP LOCKED
""")
_RANKED = """
SELECT v.id,
       v.is_current,
       row_number() OVER (
           PARTITION BY v.template_id ORDER BY v.created_at DESC, v.id DESC
       ) AS place
FROM template_versions AS v
"""
_PRUNABLE = text(
    f"SELECT count(*) FROM ({_RANKED}) AS ranked WHERE place > :keep AND NOT is_current"  # noqa: S608 - no input
)
_PRUNE = text(f"""
DELETE FROM template_versions
WHERE id IN (
    SELECT id FROM ({_RANKED} WHERE v.template_id = ANY(:templates)) AS ranked
    WHERE place > :keep AND NOT is_current
)
""")  # noqa: S608 - no input


@dataclass(slots=True)
class Deleted:
    """What a cleanup did; ``skipped`` when another one was under way."""

    rows: int = 0
    batches: int = 0
    skipped: bool = False


@dataclass(slots=True)
class Maintained:
    """Seconds that each table took; ``skipped`` when another one was under way."""

    seconds: dict[str, float] = field(default_factory=dict)
    skipped: bool = False


def vacuum(engine: Engine, *, dry_run: bool) -> Maintained:
    """Run ``VACUUM (ANALYZE)`` on each table.

    https://www.postgresql.org/docs/current/sql-vacuum.html: it locks out neither readers nor
    writers, which ``VACUUM FULL`` does.
    """
    return _each_table(engine, "maintenance.vacuum", "VACUUM (ANALYZE) {table}", dry_run=dry_run)


def analyze(engine: Engine, *, dry_run: bool) -> Maintained:
    """Run ``ANALYZE`` on each table, for the planner's statistics."""
    return _each_table(engine, "maintenance.analyze", "ANALYZE {table}", dry_run=dry_run)


def purge_templates(engine: Engine, *, days: int, batch: int, dry_run: bool) -> Deleted:
    """Delete for good what was soft-deleted more than ``days`` days ago, with all its versions."""
    deleted = Deleted()
    with _alone(engine, "maintenance.purge_templates") as alone:
        if not alone:
            return Deleted(skipped=True)
        with engine.connect() as connection:
            if dry_run:
                deleted.rows = connection.scalar(_PURGEABLE, {"days": days}) or 0
                return deleted
            while count := _in_transaction(connection, days=days, batch=batch):
                deleted.rows += count
                deleted.batches += 1
    return deleted


def prune_versions(engine: Engine, *, keep: int, batch: int, dry_run: bool) -> Deleted:
    """Delete all but the newest ``keep`` versions of each template, never the current one."""
    deleted = Deleted()
    with _alone(engine, "maintenance.prune_versions") as alone:
        if not alone:
            return Deleted(skipped=True)
        with engine.connect() as connection:
            if dry_run:
                deleted.rows = connection.scalar(_PRUNABLE, {"keep": keep}) or 0
                return deleted
            after: UUID | None = _FIRST
            while after is not None:
                count, after = _prune_batch(connection, after, keep, batch)
                deleted.rows += count
                deleted.batches += count > 0
    return deleted


def _in_transaction(connection: Connection, *, days: int, batch: int) -> int:
    with connection.begin():
        _limit_waiting(connection)
        return connection.execute(_PURGE, {"days": days, "batch": batch}).rowcount


def _prune_batch(
    connection: Connection, after: UUID, keep: int, batch: int
) -> tuple[int, UUID | None]:
    """Prune the versions of up to ``batch`` templates; return how many, and the last template."""
    with connection.begin():
        _limit_waiting(connection)
        found = connection.scalars(_CROWDED, {"after": after, "keep": keep, "batch": batch}).all()
        if not found:
            return 0, None
        rows = connection.execute(_PRUNE, {"templates": list(found), "keep": keep}).rowcount
    return rows, found[-1]


def _limit_waiting(connection: Connection) -> None:
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))


def _each_table(engine: Engine, name: str, statement: str, *, dry_run: bool) -> Maintained:
    done = Maintained()
    with _alone(engine, name) as alone:
        if not alone:
            return Maintained(skipped=True)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in TABLES:
                start = monotonic()
                if not dry_run:
                    connection.execute(text(statement.format(table=table)))
                done.seconds[table] = round(monotonic() - start, 3)
    return done


@contextmanager
def _alone(engine: Engine, name: str) -> Iterator[bool]:
    """Hold the advisory lock of ``name``; yield whether it was free."""
    with engine.connect() as connection, connection.begin():
        yield bool(
            connection.scalar(
                text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))"),
                {"name": name},
            )
        )
