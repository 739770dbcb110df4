"""A worker is asked to stop: it finishes what it works on, gives back the rest, and ends."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext

import pytest

from db.cluster.processes import wait_until
from tests.factories import templates
from tests.support.chaos.faults import held_row, refusing_writes, waiting_backends
from tests.support.chaos.session import Chaos
from tests.support.chaos.stacks import ChaosStack, pause

SIGNALS = {"warm": signal.SIGTERM, "soft": signal.SIGQUIT}
IDLE_SECONDS = 2
"""1 is promised for what is left to do, and an interpreter has to end."""
AWAY_SECONDS = 15
"""Less than the time limit of a task: 5 for an answer that cannot be stored, 5 for the rest."""


@pytest.fixture(autouse=True)
def _worker_again(chaos: Chaos) -> Iterator[None]:
    yield
    if not chaos.stack.worker.running:
        chaos.stack.start_worker()


@pytest.mark.parametrize("how", SIGNALS)
def test_an_idle_worker_exits_immediately(chaos: Chaos, how: str) -> None:
    """There is nothing to wait for."""
    seconds = stop(chaos.stack, SIGNALS[how], chaos.within(IDLE_SECONDS))
    assert chaos.stack.worker.exit_status == 0, chaos.stack.worker.tail()
    chaos.note(f"an idle worker ended {seconds:.1f} s after a {how} stop")


@pytest.mark.parametrize("how", SIGNALS)
def test_a_busy_worker_finishes_its_tasks_and_requeues_the_rest(chaos: Chaos, how: str) -> None:
    """The two publishes in progress are answered; those reserved are done by the next worker."""
    template = templates.created(chaos.producer, type="sms")
    messages = [{"template_id": template, "body": f"Hello {n}"} for n in range(8)]
    with held_row(chaos.stack, template):
        sent = [chaos.producer.send("version.publish", message) for message in messages]
        assert wait_until(lambda: waiting_backends(chaos.stack) == 2, 20)
        chaos.stack.worker.send(SIGNALS[how])
        pause(2)
        assert chaos.stack.worker.running
    begun = time.monotonic()
    assert wait_until(lambda: not chaos.stack.worker.running, chaos.within(IDLE_SECONDS))
    assert chaos.stack.worker.exit_status == 0, chaos.stack.worker.tail()
    chaos.note(f"a {how} stop ended {time.monotonic() - begun:.1f} s after the last task")
    chaos.stack.start_worker()
    versions = [chaos.producer.answer(task_id, timeout=60)["version"] for task_id in sent]
    assert sorted(versions) == [str(n + 1) for n in range(8)]
    assert len(templates.versions(chaos.producer, template)) == 8


def killed(stack: ChaosStack) -> AbstractContextManager[None]:
    """Kill the broker until the end of the test."""
    stack.valkey.kill()
    return nullcontext()


AWAY: dict[str, Callable[[ChaosStack], AbstractContextManager[None]]] = {
    "killed": killed,
    "silent": lambda stack: stack.stopped(stack.valkey.pid),
    "read only": lambda stack: refusing_writes(stack, "read only"),
}


@pytest.mark.variants(
    "state, how",
    [("idle", "killed"), ("idle", "read only"), ("busy", "silent")],
    [("idle", "silent"), ("busy", "killed"), ("busy", "read only")],
)
def test_a_worker_exits_in_bounded_time_without_its_broker(
    chaos: Chaos, state: str, how: str
) -> None:
    """A message in progress is not lost: it is answered by the next worker."""
    template = templates.created(chaos.producer, type="sms")
    sent = []
    with ExitStack() as away:
        with held_row(chaos.stack, template):
            if state == "busy":
                message = {"template_id": template, "body": "Hello"}
                sent.append(chaos.producer.send("version.publish", message))
                assert wait_until(lambda: waiting_backends(chaos.stack) == 1, 20)
            away.enter_context(AWAY[how](chaos.stack))
            chaos.stack.worker.send(signal.SIGTERM)
            pause(1)
        begun = time.monotonic()
        ended = wait_until(lambda: not chaos.stack.worker.running, chaos.within(AWAY_SECONDS))
        seconds = time.monotonic() - begun
    chaos.stack.valkey.start()
    assert ended, f"it still runs after {seconds:.0f} s"
    chaos.note(f"with its broker {how} a worker that was {state} ended after {seconds:.1f} s")
    chaos.stack.start_worker()
    for task_id in sent:
        assert chaos.producer.answer(task_id, timeout=60)["version"] == "1"
    assert len(templates.versions(chaos.producer, template)) == len(sent)


def stop(stack: ChaosStack, number: int, timeout: float) -> float:
    """Send a signal to the worker, wait for its end, and return how many seconds that took."""
    begun = time.monotonic()
    stack.worker.send(number)
    assert wait_until(lambda: not stack.worker.running, timeout), stack.worker.tail()
    return time.monotonic() - begun
