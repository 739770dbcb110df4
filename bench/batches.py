"""Batches beside bare loops over the same data, and what a worker holds after many of them."""

import json
from collections.abc import Iterator
from typing import Any, Final

import psutil

from bench import templates
from bench.line import Line, middle
from bench.loops import LOOPS, rate
from bench.producer import NOOP_QUEUE, NOOP_TASK, Producer

ITEMS: Final = 1000
QUEUE: Final = "render-bulk"
LOOP_SECONDS: Final = 1.0
GROWTH_MB: Final = 50


def measure(
    producer: Producer, node: str, noop_node: str, messages: int, rounds: int
) -> Iterator[Line]:
    """Yield the rate of rendered items on one worker process, beside four yardsticks.

    Each round takes them in turn: the no-op's tasks, then loops that do nothing but
    ``json.loads``, render and ``json.dumps``, and batches through broker, worker and result
    backend.
    """
    values = [json.dumps(values) for values in _recipients(ITEMS)]
    loops = {name: make() for name, make in LOOPS.items()}
    against: dict[str, list[tuple[float, float]]] = {name: [] for name in ("no-op", *loops)}
    batches = [_batch(templates.TEMPLATE, ITEMS)] * max(10, messages // 100)
    for _ in range(rounds):
        yardsticks = {
            "no-op": producer.rate(NOOP_TASK, [{}] * messages, NOOP_QUEUE, noop_node),
            **{name: rate(loop, values, LOOP_SECONDS) for name, loop in loops.items()},
        }
        items = producer.rate("render.batch", batches, QUEUE, node) * ITEMS
        for name, yardstick in yardsticks.items():
            against[name].append((items, yardstick))
    goals = {"no-op": 25.0, "MiniJinja": 0.4, "Jinja2": 1.0, "python-liquid": 1.0}
    for name, found in against.items():
        what = "no-op" if name == "no-op" else f"bare {name} loop"
        yield middle(f"render.batch items / {what}", found, goals[name])


def growth(producer: Producer, node: str, worker: psutil.Process, stored: int) -> Line:
    """Return by how much a worker grew over 200,000 items of 2,000 templates.

    Counted are its processes' resident pages since the first 2,000 items; ``ratio`` is the 50 MB
    that it may grow by the growth.
    """
    of_each = 100
    messages = [_batch(f"{templates.FIRST}{number}", of_each) for number in range(stored)]
    producer.rate("render.batch", messages[:20], QUEUE, node)
    before = _resident(worker)
    for start in range(0, stored, 200):
        producer.rate("render.batch", messages[start : start + 200], QUEUE, node)
    grown = (_resident(worker) - before) / 1024 / 1024
    name = f"growth over {stored * of_each:,} items"
    return Line(name, grown, "MB", GROWTH_MB, GROWTH_MB / max(grown, 1), 1.0)


def _batch(template: str, items: int) -> dict[str, Any]:
    recipients = enumerate(_recipients(items))
    return {
        "template_id": template,
        "items": [{"key": number, "variables": values} for number, values in recipients],
    }


def _recipients(count: int) -> list[dict[str, Any]]:
    return [templates.VALUES | {"order": f"A-{number}"} for number in range(count)]


def _resident(worker: psutil.Process) -> int:
    processes = [worker, *worker.children(recursive=True)]
    return sum(process.memory_info().rss for process in processes)
