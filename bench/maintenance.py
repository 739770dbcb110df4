"""Renders while half a million rows are cleaned up, beside renders alone."""

import random
import statistics
import time
from collections.abc import Iterator
from typing import Final

import psycopg

from bench.line import Line
from bench.producer import Producer
from worker.local import LocalStack

KEEP_VERSIONS: Final = 2
"""What the stack must be started with, so that three in five versions of the crowd go."""
SLOWER: Final = 1.5
"""Times as long as alone a render may take while a cleanup runs, in the 99th percentile."""
ALONE: Final = 2000
MANY: Final = 100_000
"""Versions of one template."""
PRUNED: Final = 10.0
"""Seconds in which they should be pruned, on an idle machine."""
PURGED: Final = 90.0
"""Seconds in which a million rows should be purged, while renders go on."""

_SOFT_DELETE: Final = """
UPDATE templates SET deleted_at = now() - interval '40 days' WHERE template_id IN (
    SELECT 'crowd-' || n FROM generate_series(0, %(count)s - 1) AS n
)
"""

_PUBLISH_MANY: Final = """
INSERT INTO template_versions (id, template_id, version, body, variables, created_at)
SELECT gen_random_uuid(), t.id, 'many-' || n, 'Hello', '[]', now() + n * interval '1 second'
FROM templates AS t, generate_series(1, %(count)s) AS n
WHERE t.template_id = %(template)s
"""
_ROWS: Final = """
SELECT (SELECT count(*) FROM templates)
    + (SELECT count(*) FROM template_versions)
    + (SELECT count(*) FROM template_translations)
"""


def measure(local: LocalStack, templates: int) -> Iterator[Line]:
    """Yield the latency of ``render.one`` during ``prune_versions`` and ``purge_templates``.

    The database holds ``templates`` of :mod:`bench.crowd`. The first task takes three versions of
    each, the second half of the templates with all that is theirs.
    """
    beside = _Renders(Producer(local.producer()), templates)
    yield from beside.during("maintenance.prune_versions")
    with psycopg.connect(local.postgres.url) as connection:
        connection.execute(_SOFT_DELETE, {"count": templates // 2})
        rows = _rows(connection)
    yield from beside.during("maintenance.purge_templates")
    with psycopg.connect(local.postgres.url) as connection:
        purged = rows - _rows(connection)
    own = beside.seconds * 1e6 / purged
    yield Line("a million rows purged", own, "s", PURGED, PURGED / own, 1)
    yield _many_versions(local, f"crowd-{templates - 1}")


def _rows(connection: psycopg.Connection) -> int:
    row = connection.execute(_ROWS).fetchone()
    assert row is not None  # noqa: S101 - for the type checker: a count has a row
    return int(row[0])


def _many_versions(local: LocalStack, template: str) -> Line:
    """Return how long it takes to prune many versions of one template."""
    with psycopg.connect(local.postgres.url) as connection:
        connection.execute(_PUBLISH_MANY, {"count": MANY, "template": template})
    with psycopg.connect(local.postgres.url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    app = local.producer()
    start = time.monotonic()
    app.send_task("maintenance.prune_versions", kwargs={}, queue="maintenance").get(timeout=600)
    taken = time.monotonic() - start
    return Line(f"{MANY:,} versions of one template pruned", taken, "s", PRUNED, PRUNED / taken, 1)


class _Renders:
    """Renders of templates that stay, one after the other."""

    def __init__(self, producer: Producer, templates: int) -> None:
        self._producer = producer
        self._templates = templates
        self.seconds = 0.0
        """How long the last task took."""
        self._draw = random.Random(templates)  # noqa: S311 - no secret

    def during(self, task: str) -> Iterator[Line]:
        """Yield the latencies alone, and while a task runs."""
        alone = [self._latency() for _ in range(ALONE)]
        start = time.monotonic()
        answer = self._producer.app.send_task(task, kwargs={}, queue="maintenance")
        beside = []
        while not answer.ready():
            beside.append(self._latency())
        self.seconds = time.monotonic() - start
        done = answer.get(timeout=1)
        for name, place, goal in (("p50", 49, None), ("p99", 98, 1 / SLOWER)):
            own, yardstick = (
                statistics.quantiles(taken, n=100)[place] * 1000 for taken in (beside, alone)
            )
            yield Line(
                f"render.one beside {task.partition('.')[2]}, {name}",
                own,
                "ms",
                yardstick,
                yardstick / own,
                goal,
            )
        yield Line(
            f"rows of {task.partition('.')[2]}",
            done["deleted"],
            "rows",
            done["batches"],
            done["deleted"] / done["batches"],
            None,
        )

    def _latency(self) -> float:
        number = self._draw.randrange(self._templates // 2, self._templates)
        message = {"template_id": f"crowd-{number}", "variables": {"name": "Ada"}}
        return self._producer.latency("render.one", message, "render")
