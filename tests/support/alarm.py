"""An end for what must not take for ever."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

LONG: Final = 64 * 1024
"""Characters of a hostile source: linear work takes 0.2 s, quadratic work many times the limit."""

LIMIT_SECONDS: Final = 6


@contextmanager
def soon() -> Iterator[None]:
    """Fail after six seconds of this process's own time, however busy the machine is."""

    def late(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
