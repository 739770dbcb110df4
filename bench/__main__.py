"""``make bench``: how much of Celery's own speed is left for a render."""

import argparse
import json
import random
import signal
import statistics
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

import psutil
import redis

from bench import authoring, batches, crowd, dumps, maintenance, processor, templates, transport
from bench.line import Line, middle, shown
from bench.producer import NOOP_QUEUE, NOOP_TASK, OWN_QUEUE, Producer
from bench.transport import NOOP_WORKER, OWN_WORKER
from db.cluster.processes import Process, wait_until
from worker.local import LocalStack

PARTS: Final = ("transport", "processor", "renders", "batches", "database", "authoring")
Running = tuple[LocalStack, str, dict[str, Process]]
"""A stack, the node name of its worker, and the workers of the no-op by their node names."""


def main() -> None:
    """Measure, and print a table or with ``--json`` a line of JSON for each measurement."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--json", action="store_true", help="lines of JSON in place of the table")
    parser.add_argument("--messages", type=int, default=3000, help="messages of one measurement")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each kind, in turn")
    parser.add_argument("--only", choices=PARTS, action="append", help="a part, in place of all")
    options = parser.parse_args()
    lines = []
    if not options.json:
        print(f"{'MEASUREMENT':<44}{'VALUE':>12}{'YARDSTICK':>12}{'RATIO':>8}{'GOAL':>8}")
    for line in measure(options.messages, options.rounds, options.only or PARTS):
        lines.append(line)
        print(json.dumps(asdict(line)) if options.json else shown(line), flush=True)
    missed = [line.name for line in lines if line.goal is not None and line.ratio < line.goal]
    if missed:
        sys.stderr.write(f"below the goal: {', '.join(missed)}\n")


def measure(messages: int, rounds: int, parts: Collection[str] = PARTS) -> Iterator[Line]:
    """Yield the measurements, on stacks of their own that are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="template-service-bench-") as name:
        folder = Path(name)
        if "transport" in parts:
            with stack(folder / "transport", concurrency=2, own=True) as running:
                yield from fetching(*running, messages, rounds)
        if "processor" in parts:
            with stack(folder / "processor", concurrency=1) as running:
                yield from processor_time(*running, min(messages, 1000), rounds)
        if "renders" in parts:
            with stack(folder / "two", concurrency=2) as (local, node, _):
                yield from singles(local, node, messages, rounds)
        if "batches" in parts:
            yield from several(folder / "one", messages, rounds)
        if "database" in parts:
            yield from crowded_database(folder, min(rounds, 3))
        if "authoring" in parts:
            with stack(folder / "authors", concurrency=2) as (local, _, _):
                yield from authoring.measure(local, folder / "templates")


def fetching(
    local: LocalStack, node: str, noops: dict[str, Process], messages: int, rounds: int
) -> Iterator[Line]:
    """Yield the measurements of the transport."""
    producer = Producer(local.producer())
    templates.publish(producer)
    noop, own = noops[NOOP_WORKER], noops[OWN_WORKER]
    yield from transport.measure(producer, noop, own, messages, rounds)
    message = {"template_id": templates.TEMPLATE, "variables": templates.VALUES}
    worker = psutil.Process(local.processes["worker"].pid)
    with redis.Redis.from_url(local.valkey.url) as broker:
        yield transport.dead_letters(producer, broker, message)
        yield transport.growth(producer, broker, worker, node)


def processor_time(
    local: LocalStack, node: str, noops: dict[str, Process], messages: int, rounds: int
) -> Iterator[Line]:
    """Yield the processor time of the pool process for a message of each kind."""
    producer = Producer(local.producer())
    templates.publish(producer)
    templates.fill(local.postgres.url, 1, processor.TEMPLATES - 1)
    worker = processor.Worker(psutil.Process(local.processes["worker"].pid), node)
    noop = processor.Worker(psutil.Process(noops[NOOP_WORKER].pid), NOOP_WORKER)
    yield from processor.measure(producer, worker, noop, messages, rounds)


def several(folder: Path, messages: int, rounds: int) -> Iterator[Line]:
    """Yield the measurements of ``render.batch``; one keeps one process busy, so that is there."""
    with stack(folder, concurrency=1) as (local, node, _):
        producer = Producer(local.producer())
        templates.publish(producer)
        yield from batches.measure(producer, node, NOOP_WORKER, messages, rounds)
        templates.fill(local.postgres.url, 1, 1999)
        worker = psutil.Process(local.processes["worker"].pid)
        yield batches.growth(producer, node, worker, 2000)


def crowded_database(folder: Path, rounds: int) -> Iterator[Line]:
    """Yield how the database is looked after when it holds a million versions."""
    settings = {
        "TEMPLATE_SERVICE_BACKUP_TARGET": str(folder / "backups"),
        "TEMPLATE_SERVICE_KEEP_VERSIONS": str(maintenance.KEEP_VERSIONS),
    }
    with LocalStack(
        folder / "crowd", beat=False, flower=False, environment=settings, die_with_parent=True
    ) as local:
        yield from dumps.measure(local, folder, rounds)
        yield from maintenance.measure(local, crowd.TEMPLATES)


def singles(local: LocalStack, node: str, messages: int, rounds: int) -> Iterator[Line]:
    """Yield the measurements of ``render.one``."""
    producer = Producer(local.producer())
    templates.publish(producer)
    templates.publish_rich(producer)
    database = local.postgres.url
    templates.fill(database, 1, 99)
    few = pairs(producer, node, messages, rounds, 100)
    yield middle("render.one / no-op, 100 templates", few, None)
    templates.fill(database, 100, 999)
    yield middle(
        "render.one / no-op, 1,000 templates",
        pairs(producer, node, messages, rounds, 1000),
        1.1,
    )
    yield middle(
        "render.one / no-op, partial, filter, text", rich(producer, node, messages, rounds), 0.7
    )
    templates.fill(database, 1000, 99_999)
    yield from crowded(producer, node, messages, rounds)
    yield from latencies(producer)


@contextmanager
def stack(folder: Path, concurrency: int, *, own: bool = False) -> Iterator[Running]:
    """Start servers, a worker of the service and one of the no-op, alike in all else.

    ``own``: also one of the no-op on this service's transport.
    """
    local = LocalStack(
        folder,
        workers=1,
        beat=False,
        flower=False,
        concurrency=concurrency,
        die_with_parent=True,
    )
    wanted = {NOOP_WORKER: ("bench.noop", NOOP_QUEUE)}
    if own:
        wanted[OWN_WORKER] = ("bench.own_noop", OWN_QUEUE)
    with local, ExitStack() as others:
        started = {}
        for name, (app, queue) in wanted.items():
            started[name] = noop_worker(local, name, app, queue, concurrency)
            others.callback(started[name].stop)
        for process in started.values():
            if not wait_until(partial(_is_ready, process), 60):
                raise process.failure("did not start")
        words = local.processes["worker"].output().split()
        yield local, next(word for word in words if "worker@" in word), started


def noop_worker(local: LocalStack, name: str, app: str, queue: str, concurrency: int) -> Process:
    """Start a worker of a task that does nothing."""
    process = Process(
        name,
        [
            sys.executable, "-m", "celery", "-A", app, "worker", "--pool=prefork",
            f"--concurrency={concurrency}", "-Q", queue, "-n", name, "--loglevel", "INFO",
        ],
        log=local.logs / f"{name}.log",
        record=local.directory / "run" / f"{name}.process",
        environment=local.environment(),
        directory=Path.cwd(), death_signal=signal.SIGTERM,
    )  # fmt: skip
    process.start()
    return process


def _is_ready(process: Process) -> bool:
    return " ready." in process.output()


def pairs(
    producer: Producer, node: str, messages: int, rounds: int, stored: int
) -> list[tuple[float, float]]:
    """Return the rates of renders and of no-ops, in answers per second, measured in turn."""
    found = []
    for _ in range(rounds):
        yardstick = producer.rate(NOOP_TASK, [{}] * messages, NOOP_QUEUE, NOOP_WORKER)
        found.append((renders(producer, node, messages, stored), yardstick))
    return found


def rich(producer: Producer, node: str, messages: int, rounds: int) -> list[tuple[float, float]]:
    """Return the rates of renders of a template with a partial and locale filters."""
    message = {
        "template_id": templates.RICH,
        "language": "de",
        "variables": templates.VALUES | {"total": "1234.50"},
    }
    found = []
    for _ in range(rounds):
        yardstick = producer.rate(NOOP_TASK, [{}] * messages, NOOP_QUEUE, NOOP_WORKER)
        value = producer.rate("render.one", [message] * messages, "render", node)
        found.append((value, yardstick))
    return found


def renders(producer: Producer, node: str, messages: int, stored: int) -> float:
    """Return renders per second of templates drawn from the first ``stored``."""
    draw = random.Random(stored)  # noqa: S311 - no secret
    wanted = [
        {"template_id": f"{templates.FIRST}{draw.randrange(stored)}", "variables": templates.VALUES}
        for _ in range(messages)
    ]
    return producer.rate("render.one", wanted, "render", node)


def crowded(producer: Producer, node: str, messages: int, rounds: int) -> Iterator[Line]:
    """Yield how 100,000 templates compare with the no-op and with 100."""
    against_noop, against_few = [], []
    for _ in range(rounds):
        yardstick = producer.rate(NOOP_TASK, [{}] * messages, NOOP_QUEUE, NOOP_WORKER)
        few = renders(producer, node, messages, 100)
        many = renders(producer, node, messages, 100_000)
        against_noop.append((many, yardstick))
        against_few.append((many, few))
    yield middle("render.one / no-op, 100,000 templates", against_noop, None)
    yield middle("render.one, 100,000 templates / 100", against_few, 0.9)


def latencies(producer: Producer, count: int = 400) -> Iterator[Line]:
    """Yield the latency of a message on an idle queue, next to a no-op's."""
    wanted: dict[str, Any] = {"template_id": templates.TEMPLATE, "variables": templates.VALUES}
    taken: list[tuple[float, float]] = [
        (
            producer.latency("render.one", wanted, "render"),
            producer.latency(NOOP_TASK, {}, NOOP_QUEUE),
        )
        for _ in range(count)
    ]
    for name, percentile in (("p50", 50), ("p99", 99)):
        render, yardstick = (
            statistics.quantiles(column, n=100)[percentile - 1] * 1000
            for column in zip(*taken, strict=True)
        )
        yield Line(
            f"latency on an idle queue, no-op / render, {name}",
            render,
            "ms",
            yardstick,
            yardstick / render,
            1 / 1.1,
        )


if __name__ == "__main__":
    main()
