"""Worker, broker and database die together, as when a machine does."""

import time

from tests.support.chaos.session import Chaos
from tests.support.chaos.stacks import pause


def test_nothing_is_lost_when_all_three_are_killed_together(chaos: Chaos) -> None:
    """In an order of chance, and started again in another."""
    stack = chaos.stack
    with stack.synced_broker(), chaos.load() as load:
        for _ in range(chaos.times(1, 10)):
            pause(chaos.chance.uniform(0.5, 1.5))
            ends = [stack.kill_worker, stack.valkey.kill, stack.postgres.kill]
            chaos.chance.shuffle(ends)
            for end in ends:
                end()
            last_fault = time.time()
            stack.postgres.start()
            stack.valkey.start()
            stack.start_worker()
        pause(1)
    report = chaos.settle(load, last_fault=last_fault)
    report.assert_nothing_lost_or_doubled(longest_wait=chaos.within(20))
