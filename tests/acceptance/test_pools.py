"""The render process works under the other pools that an operator may choose.

Under prefork, the default, tests/chaos/test_pool_processes.py and test_worker_kills.py kill it.
"""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from db.cluster.processes import wait_until
from tests.factories import templates
from tests.support.producer import Producer, RefusedError
from tests.support.stacks import small_stack
from worker.local import LocalStack

TIMEOUT = 60
BOMB = "{% for i in range(99999) %}{% for j in range(99999) %}{{ n }}{% endfor %}{% endfor %}"


@pytest.fixture(scope="module", params=["threads", "solo"])
def pool_stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalStack]:
    """Give a stack whose one worker uses that pool."""
    options = [f"--pool={request.param}"]
    with small_stack(tmp_path_factory.mktemp(request.param), worker_options=options) as stack:
        yield stack


@pytest.fixture
def pool_producer(pool_stack: LocalStack) -> Iterator[Producer]:
    """Give a producer on that stack's broker."""
    with Producer.of(pool_stack) as producer:
        yield producer


def render_processes(stack: LocalStack) -> set[int]:
    """Return the render processes of the worker."""
    return {
        child.pid
        for child in psutil.Process(stack.processes["worker"].pid).children(recursive=True)
        if "tasks.rendering.process" in child.cmdline()
    }


def test_the_render_process_is_started_once_and_replaced_when_it_fails(
    pool_stack: LocalStack, pool_producer: Producer
) -> None:
    """Many renders at once use few processes; a bomb costs its own message and one process."""
    template = templates.published(pool_producer, "Hello {{ name }}", type="sms")

    def render(number: int) -> str:
        message = {"template_id": template, "variables": {"name": f"{number}"}}
        return str(pool_producer.call("render.one", message)["body"])

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(render, range(60))) == [f"Hello {number}" for number in range(60)]
    before = render_processes(pool_stack)
    assert 1 <= len(before) <= 2

    with pytest.raises(RefusedError) as refused:
        templates.published(pool_producer, BOMB, type="sms")
    assert refused.value.code == "render_limit_exceeded"
    assert render(7) == "Hello 7"

    for pid in render_processes(pool_stack):
        psutil.Process(pid).send_signal(signal.SIGKILL)
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(render, range(20))) == [f"Hello {number}" for number in range(20)]
    assert not before & render_processes(pool_stack)


def test_no_render_process_outlives_its_worker(pool_stack: LocalStack) -> None:
    """The render processes of a killed worker exit, although it cannot stop them."""
    worker = pool_stack.processes["worker"]
    renderers = render_processes(pool_stack)
    main = psutil.Process(worker.pid)
    children = main.children()
    main.send_signal(signal.SIGKILL)
    for child in children:
        if child.pid not in renderers and child.is_running():
            child.send_signal(signal.SIGKILL)
    assert wait_until(lambda: not any(psutil.pid_exists(pid) for pid in renderers), TIMEOUT)
    # Only now does the fixture below see that it has ended.
    assert wait_until(lambda: not worker.running, TIMEOUT)


@pytest.fixture(autouse=True)
def _worker_runs(pool_stack: LocalStack) -> None:
    """Start the worker again where the test before has killed it."""
    if not pool_stack.processes or not pool_stack.processes["worker"].running:
        pool_stack.stop()
        pool_stack.start()
