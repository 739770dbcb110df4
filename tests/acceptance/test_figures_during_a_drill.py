"""Figures come from a queue of their own: no drill keeps a report waiting."""

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from db.cluster.processes import Process, wait_until
from tests.support.producer import Producer
from worker.directories import code_directory
from worker.local import LocalStack
from worker.queues import QueueName
from worker.schedule import REPORT_EXPIRES_SECONDS

TIMEOUT = 120.0


@pytest.fixture
def workers(servers: LocalStack, tmp_path: Path) -> Iterator[dict[QueueName, Process]]:
    """Give a worker of one process for each of the two queues, as deployments have them."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    settings = {
        "TEMPLATE_SERVICE_BACKUP_TARGET": str(tmp_path / "backups"),
        "TEMPLATE_SERVICE_SCRATCH_DIRECTORY": str(scratch),
    }
    with ExitStack() as stack:
        workers = {}
        for queue in (QueueName.MAINTENANCE, QueueName.MONITORING):
            worker = Process(
                queue.value,
                [
                    *(sys.executable, "-m", "celery", "-A", "worker", "worker", "-c", "1"),
                    *("-Q", queue.value, "-n", f"{queue.value}@figures", "--loglevel=INFO"),
                ],
                log=tmp_path / f"{queue.value}.log",
                record=tmp_path / f"{queue.value}.process",
                environment=servers.environment() | settings,
                directory=code_directory(),
                death_signal=signal.SIGKILL,
            )
            stack.callback(worker.stop)
            worker.start()
            workers[queue] = worker
        yield workers


def test_a_report_is_answered_while_a_drill_runs(
    servers: LocalStack, workers: dict[QueueName, Process], tmp_path: Path
) -> None:
    """The drill is halted in the middle, so that it runs for as long as the report takes."""
    with Producer.of(servers) as producer:
        for worker in workers.values():
            assert wait_until(lambda: " ready." in worker.output(), TIMEOUT)  # noqa: B023 - called at once
        producer.call("maintenance.backup", timeout=TIMEOUT)
        (pool,) = psutil.Process(workers[QueueName.MAINTENANCE].pid).children()
        drill = _halted(producer, pool, tmp_path / "scratch")
        try:
            report = producer.call(
                "maintenance.report",
                queue=QueueName.MONITORING.value,
                expires=REPORT_EXPIRES_SECONDS,
                timeout=TIMEOUT,
            )
            assert report["backup_age_seconds"] is not None
            assert report["backup_verified_age_seconds"] is None
            assert producer.backend.get(f"celery-task-meta-{drill}") is None
        finally:
            pool.resume()
        assert producer.answer(drill, TIMEOUT)


def _halted(producer: Producer, pool: psutil.Process, scratch: Path) -> str:
    """Send drills until one is halted in its course; return its task id."""
    while True:
        drill = producer.send("maintenance.verify_backup")
        assert wait_until(lambda: any(scratch.iterdir()), TIMEOUT)
        pool.suspend()
        if any(scratch.iterdir()):
            return drill
        # It was over before this process, of a busy machine, could halt it.
        pool.resume()
        producer.answer(drill, TIMEOUT)
