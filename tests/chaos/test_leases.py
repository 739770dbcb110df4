"""Who holds a message: a worker that is gone gives it up soon, one that works keeps it."""

import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from db.cluster.processes import wait_until
from tests.factories import templates
from tests.support.chaos.faults import held_row, waiting_backends
from tests.support.chaos.session import Chaos
from tests.support.chaos.stacks import FIRST, SECOND, pause

REDELIVERED_SECONDS = 10


@pytest.fixture
def two(chaos: Chaos) -> Iterator[Chaos]:
    """Give the shared stack with a second worker."""
    chaos.stack.start_worker(SECOND)
    yield chaos
    chaos.stack.drop_worker(SECOND)


def test_messages_of_a_dead_worker_are_taken_by_another(chaos: Chaos) -> None:
    """Its messages in progress and those it had only reserved, within seconds."""
    template = templates.created(chaos.producer, type="sms")
    messages = [{"template_id": template, "body": f"Hello {n}"} for n in range(8)]
    with held_row(chaos.stack, template):
        sent = [chaos.producer.send("version.publish", message) for message in messages]
        assert wait_until(lambda: waiting_backends(chaos.stack) == 2, 20)
        chaos.stack.start_worker(SECOND)
        chaos.stack.kill_worker(FIRST)
        killed = time.time()
    try:
        answered = [datetime.fromisoformat(done(chaos, task_id)).timestamp() for task_id in sent]
        chaos.note(
            f"8 messages of a dead worker were answered after {max(answered) - killed:.1f} s"
        )
        assert max(answered) - killed < chaos.within(REDELIVERED_SECONDS)
    finally:
        chaos.stack.start_worker(FIRST)
        chaos.stack.drop_worker(SECOND)
    versions = templates.versions(chaos.producer, template)
    assert sorted(version["version"] for version in versions) == [str(n + 1) for n in range(8)]


def test_a_long_running_message_is_not_redelivered(two: Chaos) -> None:
    """However long it takes: a second delivery would be a second transaction that waits."""
    template = templates.created(two.producer, type="sms")
    message = {"template_id": template, "body": "Hello"}
    with held_row(two.stack, template):
        sent = two.producer.send("version.publish", message)
        assert wait_until(lambda: waiting_backends(two.stack) == 1, 20)
        # Longer than a lease, shorter than the time limit of a statement.
        assert not wait_until(lambda: waiting_backends(two.stack) > 1, 8, every=0.2)
    assert two.producer.answer(sent, timeout=60)["version"] == "1"
    assert len(templates.versions(two.producer, template)) == 1


def test_a_suspended_worker_that_resumes_doubles_and_loses_nothing(two: Chaos) -> None:
    """What it held is worked on by the other meanwhile; what it does then is not done again."""
    with two.load() as load:
        pause(1)
        with two.stack.stopped(two.stack.processes[SECOND].pid):
            pause(two.times(10, 60))
        last_fault = time.time()
        pause(2)
    report = two.settle(load, last_fault=last_fault)
    report.assert_nothing_lost_or_doubled(longest_wait=two.within(15))
    two.stack.assert_running()


def test_two_workers_that_publish_at_once_agree_on_one_order(two: Chaos) -> None:
    """Of 40 publishes of one template each has its number, and the last one is current."""
    template = templates.created(two.producer, type="sms")
    messages = [{"template_id": template, "body": f"Hello {n}"} for n in range(40)]
    sent = [two.producer.send("version.publish", message) for message in messages]
    answers = [two.producer.answer(task_id, timeout=60) for task_id in sent]
    assert {answer["version"] for answer in answers} == {str(n + 1) for n in range(40)}
    versions = templates.versions(two.producer, template)
    assert [each["version"] for each in versions if each["is_current"]] == ["40"]


def done(chaos: Chaos, task_id: str) -> str:
    """Wait for an answer; return when it was given."""
    return str(chaos.producer.stored(task_id, timeout=60)["date_done"])
