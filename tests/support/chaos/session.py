"""What a test of a fault works with."""

import random
from typing import Final

from tests.support.chaos.accounts import Accountant, Report
from tests.support.chaos.load import Load
from tests.support.chaos.stacks import ChaosStack
from tests.support.producer import Producer

COUNTS: Final = "chaos counts"
NOTES: Final = "chaos notes"


class Chaos:
    """What a test of a fault works with: a stack, a seeded load, and who counts."""

    def __init__(
        self, stack: ChaosStack, seed: str, properties: list[tuple[str, object]], *, long: bool
    ) -> None:
        self.stack = stack
        self.seed = seed
        self.long = long
        self.producer = Producer.of(stack)
        self.chance = random.Random(seed)  # noqa: S311 - to be repeated by its seed
        self._properties = properties
        self._accountant = Accountant(stack)

    def times(self, short: int, long: int) -> int:
        """Return how often a fault is repeated."""
        return long if self.long else short

    def load(self, *, rate: float = 120, most_waiting: int = 250) -> Load:
        """Return a load whose templates exist, not started."""
        load = Load(self.stack, self.seed, rate=rate, most_waiting=most_waiting)
        load.prepare(self.producer)
        return load

    def settle(self, load: Load, *, last_fault: float) -> Report:
        """Wait for the rest of the answers; return and record the counts."""
        report = self._accountant.settle(load.sent, self.seed, last_fault=last_fault)
        self._properties.append((COUNTS, report.line()))
        return report

    def note(self, text: str) -> None:
        """Record a measurement, which is shown at the end of the run."""
        self._properties.append((NOTES, text))
