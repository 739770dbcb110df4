"""Purge soft-deleted templates."""

from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from db.locks import alone
from db.maintenance.batches import Deleted, in_batch, longest_prefix

TASK: Final = "maintenance.purge_templates"
# As text: such a time has no datetime.
_FIRST: Final = ("-infinity", UUID(int=0))
PAGE_SIZE: Final = 10_000
"""Templates that are found at once; their batches lock and check them again."""
_PURGEABLE: Final = text("""
SELECT count(*) FROM templates WHERE deleted_at < now() - make_interval(days => :days)
""")
# The index of deleted_at gives no order to templates that were deleted at once, and all of them
# are sorted for each of these. So there is one for many batches.
_NEXT_PURGEABLE: Final = text("""
SELECT id, CAST(deleted_at AS text) AS deleted_at
FROM templates
WHERE deleted_at < now() - make_interval(days => :days)
    AND (deleted_at, id) > (CAST(:deleted_at AS timestamptz), :id)
ORDER BY templates.deleted_at, id
LIMIT :templates
""")
# Rows that another session has locked, such as a restore, are skipped. The size is not counted
# beyond one batch.
_LOCKED: Final = text("""
WITH locked AS (
    SELECT id, deleted_at
    FROM templates
    WHERE id = ANY(:ids) AND deleted_at < now() - make_interval(days => :days)
    FOR UPDATE SKIP LOCKED
)
SELECT l.id, 1 + (
    SELECT count(*)
    FROM (SELECT FROM template_versions WHERE template_id = l.id LIMIT :batch) AS counted
) + (
    SELECT count(*)
    FROM (
        SELECT FROM template_versions AS v
        JOIN template_translations AS x ON x.template_version_id = v.id
        WHERE v.template_id = l.id
        LIMIT :batch
    ) AS counted
) AS size
FROM locked AS l
ORDER BY l.deleted_at, l.id
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
        self._waiting: list[UUID] = []
        self._passed = 0
        self._templates = batch
        """How many templates the next batch looks at: about twice as many as fit into the last, so
        that few are locked and measured in vain."""

    def next(self) -> None:
        """Delete a batch; skip it after a lock timeout."""
        if not self._waiting:
            in_batch(self._connection, self.done, self._find)
            self.has_more = bool(self._waiting)
            return
        self._passed = min(self._templates, len(self._waiting))
        in_batch(self._connection, self.done, self._delete)
        del self._waiting[: self._passed]

    def _find(self) -> None:
        deleted_at, last = self._after
        found = self._connection.execute(
            _NEXT_PURGEABLE,
            {"days": self._days, "templates": PAGE_SIZE, "deleted_at": deleted_at, "id": last},
        ).all()
        self._waiting = [row.id for row in found]
        if found:
            self._after = (found[-1].deleted_at, found[-1].id)

    def _delete(self) -> int | None:
        looked = self._waiting[: self._templates]
        templates = self._connection.execute(
            _LOCKED, {"ids": looked, "days": self._days, "batch": self._batch}
        ).all()
        if not templates:
            return None
        count = longest_prefix([row.size for row in templates], self._batch)
        self._templates = min(self._batch, 2 * count + 1)
        ids = [row.id for row in templates[: count or 1]]
        self._passed = looked.index(ids[-1]) + 1
        if not count and self._delete_old_versions(ids[0]):
            self._passed = 0
            return 0
        return self._connection.execute(_DELETE_TEMPLATES, {"ids": ids}).rowcount

    def _delete_old_versions(self, template: UUID) -> int:
        versions = self._connection.execute(
            _OLD_VERSIONS, {"template": template, "batch": self._batch}
        ).all()
        count = longest_prefix([row.size for row in versions], self._batch) or 1
        ids = [row.id for row in versions[:count]]
        return self._connection.execute(_DELETE_VERSIONS, {"ids": ids}).rowcount
