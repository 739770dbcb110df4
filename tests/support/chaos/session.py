"""What a test of a fault works with."""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from tests.support.chaos.accounts import STILL_SECONDS, Accountant, Report
from tests.support.chaos.load import Load
from tests.support.chaos.stacks import ChaosStack

COUNTS: Final = "chaos counts"
NOTES: Final = "chaos notes"


@contextmanager
def opened(stack: ChaosStack, request: pytest.FixtureRequest) -> Iterator["Chaos"]:
    """Give a stack in order, with a seed, to the test that asks."""
    config = request.config
    configured = config.getoption("chaos_seed", None)
    seed = str(random.SystemRandom().randrange(10**6) if configured is None else configured)
    sys.stdout.write(f"chaos seed: {seed}; repeat it with --chaos-seed={seed}\n")
    is_long = config.getoption("chaos", "short") == "long"
    chaos = Chaos(stack, seed, request.node.user_properties, long=is_long)
    with chaos.producer:
        stack.make_ready(chaos.producer)
        yield chaos


class Chaos:
    """What a test of a fault works with: a stack, a seeded load, and who counts."""

    def __init__(
        self, stack: ChaosStack, seed: str, properties: list[tuple[str, object]], *, long: bool
    ) -> None:
        self.stack = stack
        self.seed = seed
        self.long = long
        self.producer = stack.direct_producer()
        self.chance = random.Random(seed)  # noqa: S311 - to be repeated by its seed
        self._properties = properties
        self._accountant = Accountant(stack)

    def times(self, short: int, long: int) -> int:
        """Return how often a fault is repeated."""
        return long if self.long else short

    def within(self, promised: float) -> float:
        """Return the bound for a time that is promised, in seconds.

        In the short form other tests run on the machine at the same time, and how fast it is then
        is nobody's promise; there the bound only tells a delay from a message that is stuck.
        """
        return promised if self.long else 4 * promised

    def load(self, *, rate: float = 120, most_waiting: int = 250) -> Load:
        """Return a load whose templates exist, not started."""
        load = Load(self.stack, self.seed, rate=rate, most_waiting=most_waiting)
        load.prepare(self.producer)
        return load

    def settle(self, load: Load, *, last_fault: float) -> Report:
        """Wait for the rest of the answers; return and record the counts."""
        report = self._accountant.settle(
            load.sent, self.seed, last_fault=last_fault, still=self.within(STILL_SECONDS)
        )
        self._properties.append((COUNTS, report.line()))
        return report

    def note(self, text: str) -> None:
        """Record a measurement, which is shown at the end of the run."""
        self._properties.append((NOTES, text))
