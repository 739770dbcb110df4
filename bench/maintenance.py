"""Renders while half a million rows are cleaned up, beside renders alone."""

import random
import statistics
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

_SOFT_DELETE: Final = """
UPDATE templates SET deleted_at = now() - interval '40 days' WHERE template_id IN (
    SELECT 'crowd-' || n FROM generate_series(0, %(count)s - 1) AS n
)
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
    yield from beside.during("maintenance.purge_templates")


class _Renders:
    """Renders of templates that stay, one after the other."""

    def __init__(self, producer: Producer, templates: int) -> None:
        self._producer = producer
        self._templates = templates
        self._draw = random.Random(templates)  # noqa: S311 - no secret

    def during(self, task: str) -> Iterator[Line]:
        """Yield the latencies alone, and while a task runs."""
        alone = [self._latency() for _ in range(ALONE)]
        answer = self._producer.app.send_task(task, kwargs={}, queue="maintenance")
        beside = []
        while not answer.ready():
            beside.append(self._latency())
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
