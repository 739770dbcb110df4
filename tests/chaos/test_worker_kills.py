"""Whole workers are killed under load: every message is answered once, whatever it was doing."""

import time

from tests.support.chaos.session import Chaos
from tests.support.chaos.stacks import pause

LIVES = (0.0, 1.0)
"""Seconds between a worker's start and its end: in the middle of its first messages, or later."""


def test_nothing_is_lost_and_nothing_doubled_when_the_whole_worker_is_killed(chaos: Chaos) -> None:
    """Writes, renders and batches go on; the worker is killed with every process that it has."""
    with chaos.load() as load:
        pause(1)
        for _ in range(chaos.times(4, 120)):
            chaos.stack.kill_worker()
            last_fault = time.time()
            chaos.stack.start_worker()
            pause(chaos.chance.uniform(*LIVES))
    report = chaos.settle(load, last_fault=last_fault)
    report.assert_nothing_lost_or_doubled(longest_wait=chaos.within(15))
