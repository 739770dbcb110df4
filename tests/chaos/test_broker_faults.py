"""The broker dies, stands still, refuses writes or hangs up: the worker waits, and goes on."""

import time

import pytest
import redis
from kombu.exceptions import OperationalError

from tests.support.chaos.faults import (
    REFUSALS,
    close_connections,
    refusing_writes,
    restart_broker,
)
from tests.support.chaos.session import Chaos
from tests.support.chaos.stacks import pause
from tests.support.producer import RefusedError

REFUSED = (OperationalError, redis.RedisError)


def test_nothing_is_lost_when_the_broker_is_killed(chaos: Chaos) -> None:
    """Its append-only file has what it acknowledged; the worker keeps all its processes."""
    processes = {each.pid for each in (chaos.stack.node(), *chaos.stack.node().children())}
    with chaos.stack.synced_broker(), chaos.load() as load:
        for _ in range(chaos.times(2, 8)):
            pause(chaos.chance.uniform(0.5, 1.5))
            restart_broker(chaos.stack)
            last_fault = time.time()
        pause(1)
    report = chaos.settle(load, last_fault=last_fault)
    report.assert_nothing_lost_or_doubled(longest_wait=chaos.within(10))
    after = {each.pid for each in (chaos.stack.node(), *chaos.stack.node().children())}
    assert after == processes


def test_nothing_is_lost_when_the_broker_is_stopped(chaos: Chaos) -> None:
    """It answers nobody and closes nothing for a while, then goes on where it was."""
    pid = chaos.stack.worker.pid
    with chaos.load() as load:
        pause(1)
        with chaos.stack.stopped(chaos.stack.valkey.pid):
            pause(chaos.times(5, 30))
        last_fault = time.time()
        pause(1)
    report = chaos.settle(load, last_fault=last_fault)
    report.assert_nothing_lost_or_doubled(longest_wait=chaos.within(10))
    assert chaos.stack.worker.pid == pid


def test_nothing_is_lost_when_the_broker_is_paused(chaos: Chaos) -> None:
    """It takes commands, also those that take messages, and answers them all ten seconds later."""
    pid = chaos.stack.worker.pid
    seconds = chaos.times(10, 30)
    with chaos.load() as load:
        pause(1)
        with chaos.stack.broker as broker:
            broker.client_pause(seconds * 1000)
        pause(seconds)
        last_fault = time.time()
        pause(1)
    report = chaos.settle(load, last_fault=last_fault)
    report.assert_nothing_lost_or_doubled(longest_wait=chaos.within(10))
    assert chaos.stack.worker.pid == pid


@pytest.mark.parametrize("why", REFUSALS)
def test_nothing_is_lost_when_the_broker_refuses_writes(chaos: Chaos, why: str) -> None:
    """The worker keeps its process and its messages, and goes on when writes are taken again."""
    pid = chaos.stack.worker.pid
    with chaos.load() as load:
        pause(1)
        with refusing_writes(chaos.stack, why):
            pause(chaos.times(3, 20))
        last_fault = time.time()
        pause(1)
    report = chaos.settle(load, last_fault=last_fault)
    report.assert_nothing_lost_or_doubled(longest_wait=chaos.within(10))
    assert report.unknown, "no producer met the refusal"
    assert chaos.stack.worker.pid == pid


def test_a_producer_learns_that_a_full_broker_did_not_take_its_message(chaos: Chaos) -> None:
    """There is an error, nothing is half done, and the same message is taken later."""
    template = f"full-{chaos.seed}-{time.time_ns()}"
    message = {"template_id": template, "name": "Full", "type": "sms"}
    with refusing_writes(chaos.stack, "out of memory"), pytest.raises(REFUSED):
        chaos.producer.send("template.create", message, task_id=template)
    with pytest.raises(RefusedError) as refused:
        chaos.producer.call("template.get", {"template_id": template})
    assert refused.value.code == "template_not_found"
    answer = chaos.producer.call("template.create", message, task_id=template)
    assert answer["template_id"] == template


@pytest.mark.variants("why", ["out of memory"], ["read only", "no replicas"])
def test_a_worker_starts_while_the_broker_refuses_writes(chaos: Chaos, why: str) -> None:
    """It waits with the process that was started, and works once writes are taken again."""
    chaos.stack.kill_worker()
    sent = [chaos.producer.send("template.get", {"template_id": "no-such"}) for _ in range(20)]
    with refusing_writes(chaos.stack, why):
        pid = chaos.stack.launch_worker().pid
        pause(chaos.times(4, 20))
        chaos.stack.assert_running()
    for task_id in sent:
        with pytest.raises(RefusedError) as refused:
            chaos.producer.answer(task_id, timeout=30)
        assert refused.value.code == "template_not_found"
    assert chaos.stack.worker.pid == pid


def test_nothing_is_lost_when_the_broker_closes_all_connections(chaos: Chaos) -> None:
    """Again and again, also in the middle of an answer."""
    pid = chaos.stack.worker.pid
    with chaos.load() as load:
        pause(1)
        for _ in range(chaos.times(8, 100)):
            close_connections(chaos.stack)
            last_fault = time.time()
            pause(chaos.chance.uniform(0.0, 0.6))
    report = chaos.settle(load, last_fault=last_fault)
    report.assert_nothing_lost_or_doubled(longest_wait=chaos.within(10))
    assert chaos.stack.worker.pid == pid
