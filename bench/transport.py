"""The transport of this service beside kombu's: the same task that does nothing, on both."""

import json
import time
from collections.abc import Iterator
from typing import Any, Final

import psutil
import redis

from bench.line import Line, middle
from bench.producer import NOOP_QUEUE, NOOP_TASK, OWN_QUEUE, OWN_TASK, Producer
from db.cluster.processes import Process, wait_until

NOOP_WORKER: Final = "noop@bench"
OWN_WORKER: Final = "own-noop@bench"
BAD: Final = 10_000
GOOD: Final = 5_000
BAD_SECONDS: Final = 10.0
GROWTH_MB: Final = 20.0
MANY: Final = 100_000


def measure(
    producer: Producer, noop: Process, own: Process, messages: int, rounds: int
) -> Iterator[Line]:
    """Yield the rate of a task that does nothing, and the main process's time for a message."""
    rates, costs = [], []
    for _ in range(rounds):
        yardstick, its_cost = _rate(producer, noop, NOOP_TASK, NOOP_QUEUE, NOOP_WORKER, messages)
        value, cost = _rate(producer, own, OWN_TASK, OWN_QUEUE, OWN_WORKER, messages)
        rates.append((value, yardstick))
        costs.append((its_cost, cost))
    yield middle("no-op, this transport / kombu's", rates, 1.3)
    its_cost, cost = sorted(costs, key=lambda pair: pair[0] / pair[1])[len(costs) // 2]
    yield Line(
        "main process for a message, kombu's / this", cost, "µs", its_cost, its_cost / cost, 1 / 0.6
    )


def dead_letters(producer: Producer, broker: redis.Redis, message: dict[str, Any]) -> Line:
    """Return how long 10,000 dead letters take beside 5,000 good messages."""
    broker.delete("dead-letters")
    start = time.perf_counter()
    _push(broker, "render", ["no message of Celery"] * BAD)
    producer.fill("render.one", [message] * GOOD, "render")
    if not wait_until(lambda: broker.llen("dead-letters") >= BAD, 120, every=0.05):
        raise TimeoutError(f"{broker.llen('dead-letters')} dead letters of {BAD}")
    taken = time.perf_counter() - start
    producer.drain("render")
    broker.delete("dead-letters")
    return Line("10,000 dead letters", taken, "s", BAD_SECONDS, BAD_SECONDS / taken, 1)


def growth(producer: Producer, broker: redis.Redis, worker: psutil.Process, node: str) -> Line:
    """Return how much the main process grows over 100,000 messages, of which one in 100 is bad."""
    message = {"template_id": "no-such-template"}
    before = 0
    for sent in range(0, MANY, 1000):
        _push(broker, "render", [json.dumps({"n": sent + number}) for number in range(10)])
        producer.rate("render.one", [message] * 990, "render", node)
        if sent == 0:
            before = worker.memory_info().rss
    grown = (worker.memory_info().rss - before) / 1024 / 1024
    broker.delete("dead-letters")
    name = f"main process, growth over {MANY:,} messages"
    return Line(name, grown, "MB", GROWTH_MB, GROWTH_MB / max(grown, 1), 1)


def _rate(  # noqa: PLR0913, PLR0917 - a worker and what it is sent
    producer: Producer, worker: Process, task: str, queue: str, node: str, messages: int
) -> tuple[float, float]:
    """Return messages per second, and microseconds of the main process for each."""
    process = psutil.Process(worker.pid)
    before = _seconds(process)
    rate = producer.rate(task, [{}] * messages, queue, node)
    return rate, (_seconds(process) - before) / messages * 1e6


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _push(broker: redis.Redis, queue: str, raw: list[str]) -> None:
    for start in range(0, len(raw), 1000):
        broker.lpush(queue, *raw[start : start + 1000])
