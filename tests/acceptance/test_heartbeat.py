"""The file that a container's health check looks at, touched by a real worker."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from db.cluster.processes import wait_until
from tests.support.compose import command_of, load
from tests.support.producer import Producer
from tests.support.stacks import QUICK, small_stack
from worker.local import LocalStack

# The shortest time limits that the settings take together.
SHORT = {
    "TEMPLATE_SERVICE_LIMIT_RENDER_SECONDS": "0.5",
    "TEMPLATE_SERVICE_LIMIT_TRANSLATIONS": "10",
    "TEMPLATE_SERVICE_TASK_SOFT_TIME_LIMIT": "3",
    "TEMPLATE_SERVICE_TASK_TIME_LIMIT": "4",
}
VARIABLE = "TEMPLATE_SERVICE_HEARTBEAT_FILE"


def test_the_heartbeat_file_is_fresh_while_messages_are_consumed(
    checkout: Path, tmp_path: Path
) -> None:
    """It is touched again and again, but not while the worker is stuck.

    It goes with the broker, comes back, and goes at the end.
    """
    file = tmp_path / "heartbeat"
    # The very command of docker-compose.yml, which must also see a file that has grown old.
    probe = command_of(load(checkout)["services"]["worker"]["healthcheck"]["test"])
    environment = QUICK | SHORT | {VARIABLE: str(file)}
    with (
        small_stack(tmp_path / "stack", concurrency=2, environment=environment) as stack,
        Producer.of(stack) as producer,
    ):
        first = file.stat().st_mtime
        assert time.time() - first < 10
        assert wait_until(lambda: file.stat().st_mtime > first, 10)
        assert _run(probe, file) == 0
        _check_stuck(stack, producer, file)

        stack.valkey.stop()
        assert wait_until(lambda: not file.exists(), 20)
        assert _run(probe, file) != 0
        stack.valkey.start()
        assert wait_until(file.exists, 30)
        assert _run(probe, file) == 0

        stack.processes["worker"].stop()
        assert not file.exists()
    file.touch()
    long_ago = time.time() - 60
    os.utime(file, (long_ago, long_ago))
    assert _run(probe, file) != 0


def _check_stuck(stack: LocalStack, producer: Producer, file: Path) -> None:
    """Messages in hand that no process starts let the file grow old, until they are worked on."""
    pool = psutil.Process(stack.processes["worker"].pid).children()
    assert len(pool) >= 2
    for process in pool:
        process.suspend()
    try:
        sent = [producer.send("template.list") for _ in range(4)]
        # Touched every 5 seconds, and 4 seconds after the last progress no more.
        assert wait_until(lambda: time.time() - file.stat().st_mtime > 12, 60)
        old = file.stat().st_mtime
    finally:
        for process in pool:
            process.resume()
    assert wait_until(lambda: file.stat().st_mtime > old, 30)
    for task_id in sent:
        assert producer.answer(task_id, timeout=30)
    log = (stack.logs / "worker.log").read_text()
    assert "stuck, the heartbeat file is not touched: 4 messages in hand" in log
    assert "makes progress again" in log


def test_an_unwritable_heartbeat_file_prevents_the_start(
    stack: LocalStack, checkout: Path, tmp_path: Path
) -> None:
    """The setting is named, and the exit status tells."""
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "worker", "worker", "-Q", "maintenance"],
        cwd=checkout,
        env={**stack.environment(), VARIABLE: str(tmp_path / "missing" / "heartbeat")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"{VARIABLE}: expected a file that can be written" in done.stderr


def _run(probe: list[str], file: Path) -> int:
    return subprocess.run(
        probe, env={"PATH": os.defpath, VARIABLE: str(file)}, timeout=10, check=False
    ).returncode
