"""Dumps and restores of a large database, beside the commands of the guide this replaces."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psutil

from bench import crowd
from bench.line import Line
from db.cluster.processes import wait_until
from db.cluster.programs import Programs
from db.commands.core import connection_environment
from worker.local import LocalStack

FAST: Final = 2.0
"""Times as fast as the guide's commands: half of their wall time at the most."""
RESTORED: Final = 1.25
"""The same of a restore, which also compares all rows: docs/adr/0011-dumps-and-the-drill.md."""
PATIENCE: Final = 2.0
"""Seconds that a table of the commands may take."""
GROWTH: Final = 50.0
"""MB that a worker may grow by during a dump."""
TABLES: Final = (
    "connections", "long-queries", "sizes", "index-usage", "cache", "locks", "slow-queries",
    "missing-indexes", "explain", "autovacuum", "bloat", "pool",
)  # fmt: skip


def measure(local: LocalStack, folder: Path, rounds: int) -> Iterator[Line]:
    """Yield how dump, restore and tables do on :mod:`bench.crowd`."""
    crowd.fill(local.postgres.url)
    plain = folder / "guide.sql.gz"
    dumps, restores, entries = [], [], []
    for turn in range(rounds):
        guide = _shell(local, f"'{_program('pg_dump')}' | gzip > '{plain}'")
        own, entry = _command(local, "backup", "create", "--json")
        dumps.append((own, guide))
        entries.append(entry)
        _sql(local, f"CREATE DATABASE guide{turn} TEMPLATE template0")
        psql = f"'{_program('psql')}' -q -X -d guide{turn}"
        guide = _shell(local, f"gunzip -c '{plain}' | {psql} > /dev/null")
        own, _ = _command(local, "backup", "restore", "--into", f"own{turn}", "--json")
        restores.append((own, guide))
        for name in ("guide", "own"):
            _sql(local, f"DROP DATABASE {name}{turn}")
    yield _times("backup create, times as fast as the guide", dumps, FAST)
    size = max(entry["files"][0]["size"] for entry in entries)
    yield Line(
        "size of the guide's file / of the dump",
        size / 1e6,
        "MB",
        plain.stat().st_size / 1e6,
        plain.stat().st_size / size,
        1,
    )
    yield _times("backup restore, times as fast as the guide", restores, RESTORED)
    yield _growth(local)
    yield _slowest_table(local)


def _times(name: str, found: list[tuple[float, float]], goal: float) -> Line:
    own, guide = sorted(found, key=lambda pair: pair[1] / pair[0])[len(found) // 2]
    return Line(name, own, "s", guide, guide / own, goal)


def _growth(local: LocalStack) -> Line:
    """Return by how much the worker grows while it makes a dump, at the most."""
    worker = psutil.Process(local.processes["worker"].pid)
    before = _resident(worker)
    answer = local.producer().send_task("maintenance.backup", kwargs={}, queue="maintenance")
    most = before

    def done() -> bool:
        nonlocal most
        most = max(most, _resident(worker))
        return bool(answer.ready())

    wait_until(done, 600, every=0.2)
    answer.get(timeout=1)
    grown = max((most - before) / 1e6, 0.1)
    return Line("worker's growth during maintenance.backup", grown, "MB", GROWTH, GROWTH / grown, 1)


def _resident(worker: psutil.Process) -> int:
    """Return the bytes of a worker's Python processes, without the programs that they start."""
    return sum(
        each.memory_info().rss
        for each in (worker, *worker.children(recursive=True))
        if "python" in each.name() or "celery" in each.name()
    )


def _slowest_table(local: LocalStack) -> Line:
    _command(local, "db", "slow-queries", "--setup", "--json")
    taken = {name: _command(local, "db", name, "--json")[0] for name in TABLES}
    name = max(taken, key=lambda each: taken[each])
    return Line(
        f"slowest of {len(TABLES)} tables, db {name}",
        taken[name],
        "s",
        PATIENCE,
        PATIENCE / taken[name],
        1,
    )


def _command(local: LocalStack, *arguments: str) -> tuple[float, Any]:
    """Run ``template-service``; return its seconds and the JSON that it printed."""
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "worker", *arguments],
        env=local.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    taken = time.monotonic() - start
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")
    return taken, json.loads(done.stdout)


def _shell(local: LocalStack, line: str) -> float:
    with connection_environment(local.postgres.url) as (environment, passfile):
        start = time.monotonic()
        subprocess.run(["/bin/sh", "-c", line], env=environment, pass_fds=passfile, check=True)
        return time.monotonic() - start


def _sql(local: LocalStack, statement: str) -> None:
    _shell(local, f"'{_program('psql')}' -q -X -c '{statement}'")


def _program(name: str) -> str:
    return Programs.chosen().path(name)
