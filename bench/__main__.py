"""``make bench``: how much of Celery's own speed is left for a render."""

import argparse
import json
import random
import signal
import statistics
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import psutil

from bench import batches, crowd, dumps, maintenance, templates
from bench.line import Line, middle, shown
from bench.producer import NOOP_QUEUE, NOOP_TASK, Producer
from db.cluster.processes import Process, wait_until
from worker.local import LocalStack

NOOP_WORKER: Final = "noop@bench"
PARTS: Final = ("renders", "batches", "database")


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
        if "renders" in parts:
            with stack(folder / "two", concurrency=2) as (local, node):
                yield from singles(local, node, messages, rounds)
        if "batches" in parts:
            yield from several(folder / "one", messages, rounds)
        if "database" in parts:
            yield from crowded_database(folder, min(rounds, 3))


def several(folder: Path, messages: int, rounds: int) -> Iterator[Line]:
    """Yield the measurements of ``render.batch``; one keeps one process busy, so that is there."""
    with stack(folder, concurrency=1) as (local, node):
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
        0.75,
    )
    yield middle(
        "render.one / no-op, partial, filter, text", rich(producer, node, messages, rounds), 0.7
    )
    templates.fill(database, 1000, 99_999)
    yield from crowded(producer, node, messages, rounds)
    yield from latencies(producer)


@contextmanager
def stack(folder: Path, concurrency: int) -> Iterator[tuple[LocalStack, str]]:
    """Start servers, a worker of the service and a worker of the no-op, alike in all else."""
    local = LocalStack(
        folder,
        workers=1,
        beat=False,
        flower=False,
        concurrency=concurrency,
        die_with_parent=True,
    )
    with local:
        other = Process(
            "noop",
            [
                sys.executable, "-m", "celery", "-A", "bench.noop", "worker", "--pool=prefork",
                f"--concurrency={concurrency}", "-Q", NOOP_QUEUE, "-n", NOOP_WORKER,
                "--loglevel", "INFO",
            ],
            log=folder / "log" / "noop.log",
            record=folder / "run" / "noop.process",
            environment=local.environment(),
            directory=Path.cwd(), death_signal=signal.SIGTERM,
        )  # fmt: skip
        other.start()
        try:
            if not wait_until(lambda: " ready." in other.output(), 60):
                raise other.failure("did not start")
            yield (
                local,
                next(
                    word for word in local.processes["worker"].output().split() if "worker@" in word
                ),
            )
        finally:
            other.stop()


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
    """Yield the latency of a message on an idle queue, beside that of a no-op."""
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
            f"latency on an idle queue, {name}", render, "ms", yardstick, render / yardstick, None
        )


if __name__ == "__main__":
    main()
