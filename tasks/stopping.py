"""Whether the worker that this process belongs to has been asked to stop.

Its main process gets the signal; the pool's processes have no other way to know.
"""

import mmap
from typing import Final

_FLAG: Final = mmap.mmap(-1, 1)
"""Memory shared with all processes that are forked after the import of this module."""


def begin() -> None:
    """Notify all processes of the worker."""
    _FLAG[0] = 1


def is_begun() -> bool:
    """Return whether the worker was asked to stop."""
    return _FLAG[0] == 1
