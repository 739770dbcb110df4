"""Delete old versions of templates."""

from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, text

from db.locks import alone
from db.maintenance.batches import Deleted, fitting, in_batch

TASK: Final = "maintenance.prune_versions"
TEMPLATES: Final = 100
"""Rows that one transaction locks at most, so that a publish does not wait for many."""

_RANKED: Final = """
SELECT v.id,
       v.template_id,
       v.is_current,
       row_number() OVER (
           PARTITION BY v.template_id ORDER BY v.created_at DESC, v.id DESC
       ) AS place
FROM template_versions AS v
"""
_PRUNABLE: Final = text(
    f"SELECT count(*) FROM ({_RANKED}) AS ranked WHERE place > :keep AND NOT is_current"  # noqa: S608 - no input
)
# Their rows are locked against a publish or activate, which would change the current version;
# templates that are being published to are left to the next run.
_CROWDED: Final = text("""
SELECT t.id FROM templates AS t
WHERE t.id > :after
    AND EXISTS (SELECT FROM template_versions AS v WHERE v.template_id = t.id OFFSET :keep)
ORDER BY t.id
LIMIT :templates
FOR NO KEY UPDATE OF t SKIP LOCKED
""")
# A separate statement, so that it sees versions published before the lock was granted. Both of its
# parts read an index in its order: to rank all versions again for each batch took 84 s for 100,000
# versions of one template, and this takes 12 (the same busy machine).
_OLD: Final = text("""
SELECT old.id, 1 + (
    SELECT count(*) FROM template_translations AS x WHERE x.template_version_id = old.id
) AS size
FROM unnest(CAST(:templates AS uuid[])) AS t (id)
CROSS JOIN LATERAL (
    SELECT v.created_at, v.id
    FROM template_versions AS v
    WHERE v.template_id = t.id
    ORDER BY v.created_at DESC, v.id DESC
    OFFSET :keep
    LIMIT 1
) AS newest
CROSS JOIN LATERAL (
    SELECT v.id, v.created_at
    FROM template_versions AS v
    WHERE v.template_id = t.id
        AND (v.created_at, v.id) <= (newest.created_at, newest.id)
        AND NOT v.is_current
    ORDER BY v.created_at, v.id
    LIMIT :batch
) AS old
ORDER BY t.id, old.created_at, old.id
LIMIT :batch
""")
_DELETE: Final = text("DELETE FROM template_versions WHERE id = ANY(:ids)")


def prune_versions(engine: Engine, *, keep: int, batch: int, dry_run: bool) -> Deleted:
    """Delete all but the newest ``keep`` versions of each template, never the current one.

    The oldest are deleted first, up to ``batch`` versions and translations in a transaction; the
    result counts versions.
    """
    with alone(engine, TASK) as free:
        if not free:
            return Deleted(skipped=True)
        with engine.connect() as connection:
            if dry_run:
                return Deleted(rows=connection.scalar(_PRUNABLE, {"keep": keep}) or 0)
            prune = _Prune(connection, keep, batch)
            while prune.has_more:
                prune.next()
            return prune.done


class _Prune:
    """A walk over the templates in the order of their ids."""

    def __init__(self, connection: Connection, keep: int, batch: int) -> None:
        self.done = Deleted()
        self.has_more = True
        self._connection = connection
        self._keep = keep
        self._batch = batch
        self._after = UUID(int=0)
        self._crowded: list[UUID] = []

    def next(self) -> None:
        """Delete a batch; skip it after a lock timeout."""
        self._crowded = []
        if in_batch(self._connection, self.done, self._delete):
            return
        if self._crowded:
            self._after = self._crowded[-1]
        else:
            self.has_more = False

    def _delete(self) -> int | None:
        self._crowded = list(
            self._connection.scalars(
                _CROWDED, {"after": self._after, "keep": self._keep, "templates": TEMPLATES}
            )
        )
        self.has_more = bool(self._crowded)
        if not self._crowded:
            return None
        old = self._old_versions()
        count = fitting([row.size for row in old], self._batch) or min(1, len(old))
        is_all = count == len(old) < self._batch
        rows = None
        if old:
            ids = [row.id for row in old[:count]]
            rows = self._connection.execute(_DELETE, {"ids": ids}).rowcount
        if is_all:
            self._after = self._crowded[-1]
        return rows

    def _old_versions(self) -> list[Row[tuple[UUID, int]]]:
        return list(
            self._connection.execute(
                _OLD, {"templates": self._crowded, "keep": self._keep, "batch": self._batch}
            )
        )
