"""PostgreSQL dies, restarts or stands still under load: every write is done once and answered."""

import time

from db.cluster.processes import wait_until
from tests.factories import templates
from tests.support.chaos.faults import held_row, restart_database, waiting_backends
from tests.support.chaos.session import Chaos
from tests.support.chaos.stacks import pause


def test_nothing_is_lost_and_nothing_doubled_when_the_database_restarts(chaos: Chaos) -> None:
    """Killed and recovered, or shut down in order, in turn."""
    with chaos.load() as load:
        for number in range(chaos.times(2, 10)):
            pause(chaos.chance.uniform(0.5, 1.5))
            if number % 2:
                chaos.stack.postgres.restart()
            else:
                restart_database(chaos.stack)
            last_fault = time.time()
        pause(1)
    report = chaos.settle(load, last_fault=last_fault)
    report.assert_nothing_lost_or_doubled(longest_wait=chaos.within(15))


def test_nothing_is_lost_when_the_database_is_stopped(chaos: Chaos) -> None:
    """Work continues as soon as it answers again; no message ends in a failure."""
    with chaos.load() as load:
        pause(1)
        with chaos.stack.stopped(chaos.stack.postgres.pid):
            pause(chaos.times(5, 30))
        last_fault = time.time()
        pause(1)
    report = chaos.settle(load, last_fault=last_fault)
    report.assert_nothing_lost_or_doubled(longest_wait=chaos.within(10))


def test_a_write_interrupted_by_a_restart_is_done_once(chaos: Chaos) -> None:
    """It is tried again, and its producer sees an ordinary answer."""
    template = templates.created(chaos.producer, type="sms")
    with held_row(chaos.stack, template):
        sent = chaos.producer.send("version.publish", {"template_id": template, "body": "Hello"})
        assert wait_until(lambda: waiting_backends(chaos.stack) == 1, 20)
        restart_database(chaos.stack)
    assert chaos.producer.answer(sent, timeout=60)["version"] == "1"
    assert len(templates.versions(chaos.producer, template)) == 1
