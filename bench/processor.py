"""Processor time of a pool process for a message, next to a task that does nothing.

Render processes are children of the pool processes, and not counted.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import psutil

from bench import templates
from bench.line import Line
from bench.producer import NOOP_QUEUE, NOOP_TASK, Producer

TEMPLATES: Final = 100
GOALS: Final = {
    "version.publish": 0.11,
    "translation.upsert": 0.16,
    "template.get": 0.37,
    "render.one": 0.61,
}
"""The no-op's time by the task's: 5, 3.5, 1.5 and 0.9 ms where the no-op takes 0.55."""


class Worker(NamedTuple):
    """The main process of a worker, and its node name."""

    process: psutil.Process
    node: str

    def cost(
        self, producer: Producer, task: str, messages: list[dict[str, Any]], queue: str
    ) -> float:
        """Return milliseconds of processor time of the pool processes for a message."""
        before = self._seconds()
        producer.rate(task, messages, queue, self.node)
        return (self._seconds() - before) / len(messages) * 1000

    def _seconds(self) -> float:
        times = [process.cpu_times() for process in self.process.children()]
        return float(sum(each.user + each.system for each in times))


def measure(
    producer: Producer, worker: Worker, noop: Worker, messages: int, rounds: int
) -> Iterator[Line]:
    """Yield a line for each task; the template and its copies must be stored."""
    for task, goal in GOALS.items():
        wanted = [_message(task, number % TEMPLATES) for number in range(messages)]
        queue = "render" if task == "render.one" else "templates"
        pairs = [
            (
                worker.cost(producer, task, wanted, queue),
                noop.cost(producer, NOOP_TASK, [{}] * messages, NOOP_QUEUE),
            )
            for _ in range(rounds)
        ]
        value, yardstick = sorted(pairs, key=lambda pair: pair[0] / pair[1])[len(pairs) // 2]
        yield Line(f"pool process, no-op / {task}", value, "ms", yardstick, yardstick / value, goal)


def _message(task: str, number: int) -> dict[str, Any]:
    message: dict[str, Any] = {"template_id": f"{templates.FIRST}{number}"}
    if task == "version.publish":
        message |= {
            "subject": templates.SUBJECT,
            "body": templates.BODY,
            "variables": templates.VARIABLES,
        }
    elif task == "translation.upsert":
        message |= {"language_code": "de", "body": templates.BODY}
    elif task == "render.one":
        message |= {"variables": templates.VALUES}
    return message
