"""Purge soft-deleted templates."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, text

from db.locks import alone
from db.maintenance.batches import Deleted, fitting, in_batch

TASK: Final = "maintenance.purge_templates"
_FIRST: Final = (datetime.min.replace(tzinfo=UTC), UUID(int=0))
_PURGEABLE: Final = text("""
SELECT count(*) FROM templates WHERE deleted_at < now() - make_interval(days => :days)
""")
# Rows that another session has locked, such as a restore, are skipped. The size is not counted
# beyond one batch.
_NEXT: Final = text("""
WITH found AS (
    SELECT id, deleted_at
    FROM templates
    WHERE deleted_at < now() - make_interval(days => :days)
        AND (deleted_at, id) > (:deleted_at, :id)
    ORDER BY deleted_at, id
    LIMIT :templates
    FOR UPDATE SKIP LOCKED
)
SELECT f.id, f.deleted_at, 1 + (
    SELECT count(*)
    FROM (SELECT FROM template_versions WHERE template_id = f.id LIMIT :batch) AS counted
) + (
    SELECT count(*)
    FROM (
        SELECT FROM template_versions AS v
        JOIN template_translations AS x ON x.template_version_id = v.id
        WHERE v.template_id = f.id
        LIMIT :batch
    ) AS counted
) AS size
FROM found AS f
ORDER BY f.deleted_at, f.id
""")
_OLD_VERSIONS: Final = text("""
SELECT v.id, 1 + (
    SELECT count(*) FROM template_translations AS x WHERE x.template_version_id = v.id
) AS size
FROM template_versions AS v
WHERE v.template_id = :template AND NOT v.is_current
ORDER BY v.created_at, v.id
LIMIT :batch
""")
_DELETE_VERSIONS: Final = text("DELETE FROM template_versions WHERE id = ANY(:ids)")
_DELETE_TEMPLATES: Final = text("DELETE FROM templates WHERE id = ANY(:ids)")


def purge_templates(engine: Engine, *, days: int, batch: int, dry_run: bool) -> Deleted:
    """Delete templates that were soft-deleted more than ``days`` days ago, with all versions.

    A template with more than ``batch`` rows is deleted in several transactions, its current version
    in the last: if it is restored meanwhile, it can still be rendered. The result counts templates.
    """
    with alone(engine, TASK) as free:
        if not free:
            return Deleted(skipped=True)
        with engine.connect() as connection:
            if dry_run:
                return Deleted(rows=connection.scalar(_PURGEABLE, {"days": days}) or 0)
            purge = _Purge(connection, days, batch)
            while purge.has_more:
                purge.next()
            return purge.done


class _Purge:
    """A walk over the templates in the order in which they were deleted."""

    def __init__(self, connection: Connection, days: int, batch: int) -> None:
        self.done = Deleted()
        self.has_more = True
        self._connection = connection
        self._days = days
        self._batch = batch
        self._after = _FIRST
        self._templates = batch
        """How many templates the next batch looks at: about twice as many as fit into the last, so
        that few are locked and measured in vain."""
        self._batch_rows: list[Row[tuple[UUID, datetime, int]]] = []

    def next(self) -> None:
        """Delete a batch; skip it after a lock timeout."""
        self._batch_rows = []
        if in_batch(self._connection, self.done, self._delete):
            return
        if self._batch_rows:
            self._pass()
        else:
            self.has_more = False

    def _delete(self) -> int | None:
        deleted_at, last = self._after
        templates = self._connection.execute(
            _NEXT,
            {
                "days": self._days,
                "batch": self._batch,
                "templates": self._templates,
                "deleted_at": deleted_at,
                "id": last,
            },
        ).all()
        self.has_more = bool(templates)
        if not templates:
            return None
        count = fitting([row.size for row in templates], self._batch)
        self._templates = min(self._batch, 2 * count + 1)
        self._batch_rows = list(templates[: count or 1])
        if not count and self._delete_old_versions(templates[0].id):
            return 0
        ids = [row.id for row in self._batch_rows]
        rows = self._connection.execute(_DELETE_TEMPLATES, {"ids": ids}).rowcount
        self._pass()
        return rows

    def _delete_old_versions(self, template: UUID) -> int:
        versions = self._connection.execute(
            _OLD_VERSIONS, {"template": template, "batch": self._batch}
        ).all()
        count = fitting([row.size for row in versions], self._batch) or 1
        ids = [row.id for row in versions[:count]]
        return self._connection.execute(_DELETE_VERSIONS, {"ids": ids}).rowcount

    def _pass(self) -> None:
        last = self._batch_rows[-1]
        self._after = (last.deleted_at, last.id)
