"""What operators and producers can tell a worker, as Celery documents it."""

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from db.cluster.processes import Process, wait_until, write_private
from tests.factories import templates
from tests.support.held import held
from tests.support.producer import Producer
from tests.support.stacks import small_stack
from worker.directories import code_directory
from worker.local import LocalStack

TIMEOUT = 30
NONE = {"template_id": "no-such"}
AHEAD = 4
"""Messages that each process may reserve."""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """Give a stack with one worker that consumes from two queues only."""
    options = ["-Q", "render,templates"]
    with small_stack(tmp_path_factory.mktemp("control"), worker_options=options) as stack:
        yield stack


@pytest.fixture
def sender(own: LocalStack) -> Iterator[Producer]:
    """Give a producer on that stack."""
    with Producer.of(own) as sender:
        yield sender


@pytest.fixture
def valkey(own: LocalStack) -> Iterator[redis.Redis]:
    """Give the broker of that stack; nothing is held in the end."""
    with redis.Redis.from_url(own.valkey.url) as client:
        yield client
        assert wait_until(lambda: not held(client), TIMEOUT)


def prefetch(sender: Producer) -> int:
    """Return the prefetch count that the worker reports."""
    ((_, stats),) = sender.app.control.inspect(timeout=2, limit=1).stats().items()
    return int(stats["prefetch_count"])


def is_ok(answers: list[dict[str, Any]]) -> bool:
    """Return whether the worker obeyed."""
    return [list(answer) for each in answers for answer in each.values()] == [["ok"]]


def require_ok(answers: list[dict[str, Any]]) -> None:
    """Check that the worker obeyed."""
    assert is_ok(answers), answers


ASK: dict[str, Any] = {"reply": True, "timeout": TIMEOUT, "limit": 1}
"""How the answer to a command is waited for."""


@pytest.mark.usefixtures("valkey")
def test_the_prefetch_count_follows_the_size_of_the_pool(sender: Producer) -> None:
    """After pool_grow, and after pool_shrink."""
    control = sender.app.control
    assert prefetch(sender) == 2 * AHEAD
    require_ok(control.pool_grow(2, **ASK))
    assert wait_until(lambda: prefetch(sender) == 4 * AHEAD, TIMEOUT)
    for size in (3, 2, 1):
        # Celery does not stop a process that has not reported yet that it is up.
        assert wait_until(lambda: is_ok(control.pool_shrink(1, **ASK)), TIMEOUT)
        assert wait_until(lambda size=size: prefetch(sender) == size * AHEAD, TIMEOUT)  # type: ignore[misc]
    answers = [sender.send("render.one", NONE) for _ in range(20)]
    assert {sender.stored(each)["status"] for each in answers} == {"FAILURE"}
    require_ok(control.pool_grow(1, **ASK))


def test_a_queue_can_be_cancelled_and_added(sender: Producer, valkey: Any) -> None:  # noqa: ANN401 - redis-py's replies have no types
    """Its messages stay on it meanwhile; other queues, which the worker was not given, as well."""
    control = sender.app.control
    bulk = sender.send("render.one", NONE, queue="render-bulk")
    require_ok(control.cancel_consumer("templates", **ASK))
    cancelled = sender.send("template.get", NONE)
    assert sender.stored(sender.send("render.one", NONE))["status"] == "FAILURE"
    # A message that the server gave to the cancelled consumer meanwhile is put back.
    assert wait_until(
        lambda: [valkey.llen(queue) for queue in ("templates", "render-bulk")] == [1, 1], TIMEOUT
    )
    require_ok(control.add_consumer("templates", **ASK))
    assert sender.stored(cancelled)["status"] == "FAILURE"
    require_ok(control.add_consumer("render-bulk", **ASK))
    assert sender.stored(bulk)["status"] == "FAILURE"
    require_ok(control.cancel_consumer("render-bulk", **ASK))


def test_a_rate_limit_delays_only_its_task(sender: Producer, valkey: redis.Redis) -> None:
    """What waits for it is held by the worker, within the prefetch count."""
    control = sender.app.control
    require_ok(control.rate_limit("render.one", "1/s", **ASK))
    limited = [sender.send("render.one", NONE) for _ in range(4)]
    assert sender.stored(sender.send("template.get", NONE))["status"] == "FAILURE"
    assert len(held(valkey)) <= 2 * AHEAD
    require_ok(control.rate_limit("render.one", 0, **ASK))
    for task_id in limited:
        assert sender.stored(task_id)["status"] == "FAILURE"


@pytest.mark.parametrize("delay", [{}, {"countdown": 1}], ids=["now", "delayed"])
@pytest.mark.usefixtures("valkey")
def test_a_revoked_message_is_not_run(sender: Producer, delay: dict[str, Any]) -> None:
    """Whether its time has come or not; its producer learns of it."""
    task_id = str(uuid.uuid4())
    require_ok(sender.app.control.revoke(task_id, **ASK))
    sender.send("render.one", NONE, task_id=task_id, **delay)
    assert wait_until(lambda: status(sender, task_id) == "REVOKED", TIMEOUT)


@pytest.mark.parametrize("delay", [{"expires": -1}, {"expires": 0.2, "countdown": 1}])
@pytest.mark.usefixtures("valkey")
def test_an_expired_message_is_not_run(sender: Producer, delay: dict[str, Any]) -> None:
    """Nor one that expires while it is delayed."""
    task_id = sender.send("render.one", NONE, **delay)
    assert wait_until(lambda: status(sender, task_id) == "REVOKED", TIMEOUT)


def status(sender: Producer, task_id: str) -> str | None:
    """Return what the result backend says of a message, whatever that is."""
    stored: Any = sender.backend.get(f"celery-task-meta-{task_id}")
    return None if stored is None else str(json.loads(stored)["status"])


def test_celery_purge_empties_the_queues(
    own: LocalStack, sender: Producer, valkey: redis.Redis
) -> None:
    """Of all priorities, also where no worker consumes."""
    for priority in (0, 3, 6, 9):
        sender.send("render.one", NONE, queue="render-bulk", priority=priority)
    assert len(list(valkey.scan_iter("render-bulk*"))) == 4
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "worker", "purge", "--force"],
        env=own.environment(),
        cwd=code_directory(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "4 messages" in done.stdout, done.stdout
    assert list(valkey.scan_iter("render-bulk*")) == []


PLAIN = """
from celery import Celery
app = Celery("plain", broker="{broker}", backend="{backend}")
app.conf.task_default_queue = "other"

@app.task(name="other.note")
def note(*arguments):
    return len(arguments)
"""


@pytest.fixture
def plain(own: LocalStack, tmp_path: Path) -> Iterator[Process]:
    """Give a worker of Celery alone, on a queue of its own."""
    addresses = own.addresses()
    write_private(
        tmp_path / "plain.py",
        PLAIN.format(
            broker=addresses["CELERY_BROKER_URL"], backend=addresses["CELERY_RESULT_BACKEND"]
        ),
    )
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "plain",
        "worker",
        "-Q",
        "other",
        "-n",
        "p@test",
    ]
    worker = Process(
        "plain",
        [*command, "--pool=solo", "--without-mingle"],
        log=tmp_path / "plain.log",
        record=tmp_path / "plain.process",
        environment={"PYTHONPATH": str(tmp_path)},
        directory=tmp_path,
        death_signal=signal.SIGKILL,
    )
    worker.start()
    yield worker
    worker.stop()


def test_callbacks_go_to_the_queues_of_other_workers(
    sender: Producer, valkey: redis.Redis, plain: Process
) -> None:
    """A plain Celery worker, which knows nothing of this service, works on them."""
    template = templates.published(sender, "Hello", type="sms")
    note = sender.app.signature("other.note", queue="other")
    noted = {name: note.clone().set(task_id=str(uuid.uuid4())) for name in ("link", "errback")}
    sender.call("render.one", {"template_id": template, "variables": {}}, link=noted["link"])
    sender.send("render.one", NONE, link_error=noted["errback"])
    first = sender.app.signature(
        "render.one", kwargs={"template_id": template, "variables": {}}, queue="render"
    )
    chained = (first | note.clone()).apply_async()
    for task_id in (noted["link"].id, noted["errback"].id, chained.id):
        assert sender.stored(task_id, TIMEOUT)["status"] == "SUCCESS", plain.tail()
    assert valkey.llen("other") == 0
