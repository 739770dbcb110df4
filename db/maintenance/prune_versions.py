"""Delete old versions of templates."""

from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, text

from db.locks import alone
from db.maintenance.batches import Deleted, in_batch, longest_prefix

TASK: Final = "maintenance.prune_versions"
MOST_LOCKED: Final = 100
"""Rows that one transaction locks at most, so that a publish does not wait for many."""

_RANKED: Final = """
SELECT v.id,
       v.template_id,
       v.is_current,
       v.activate_at,
       row_number() OVER (
           PARTITION BY v.template_id ORDER BY v.created_at DESC, v.id DESC
       ) AS place
FROM template_versions AS v
"""
# A version that will be current at some time stays, too.
_PRUNABLE: Final = text(f"""
SELECT count(*) FROM ({_RANKED}) AS ranked
WHERE place > :keep AND NOT is_current AND activate_at IS NULL
""")  # noqa: S608 - no input
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
# Those of the last batch, which may have more: to look for them among all templates again took most
# of the time where one template has very many versions.
_LOCKED: Final = text("""
SELECT t.id FROM templates AS t
WHERE t.id = ANY(:ids)
ORDER BY t.id
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
        AND v.activate_at IS NULL
    ORDER BY v.created_at, v.id
    LIMIT :batch
) AS old
ORDER BY t.id, old.created_at, old.id
LIMIT :batch
""")
_DELETE: Final = text("DELETE FROM template_versions WHERE id = ANY(:ids)")


def prune_versions(engine: Engine, *, keep: int, batch: int, dry_run: bool) -> Deleted:
    """Delete all but the newest ``keep`` versions of each template, never the current one.

    Versions with a scheduled activation stay, too. The oldest are deleted first, up to ``batch``
    versions and translations in a transaction; the result counts versions.
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
        """Delete a batch; skip its templates after a lock timeout."""
        if not in_batch(self._connection, self.done, self._delete):
            self.has_more = bool(self._crowded)
            self._pass_on()

    def _delete(self) -> int | None:
        locked = self._locked()
        old = self._old_versions(locked) if locked else []
        count = longest_prefix([row.size for row in old], self._batch) or min(1, len(old))
        rows = None
        if old:
            ids = [row.id for row in old[:count]]
            rows = self._connection.execute(_DELETE, {"ids": ids}).rowcount
        if count == len(old) < self._batch:
            self._pass_on()
        return rows

    def _locked(self) -> list[UUID]:
        """Lock the templates of the last batch, or else the next ones with too many versions."""
        if self._crowded:
            return list(self._connection.scalars(_LOCKED, {"ids": self._crowded}))
        self._crowded = list(
            self._connection.scalars(
                _CROWDED, {"after": self._after, "keep": self._keep, "templates": MOST_LOCKED}
            )
        )
        self.has_more = bool(self._crowded)
        return self._crowded

    def _pass_on(self) -> None:
        """Continue after the templates of this batch."""
        if self._crowded:
            self._after = self._crowded[-1]
        self._crowded = []

    def _old_versions(self, templates: list[UUID]) -> list[Row[tuple[UUID, int]]]:
        return list(
            self._connection.execute(
                _OLD, {"templates": templates, "keep": self._keep, "batch": self._batch}
            )
        )
