"""Render processes of this process that had to be replaced, by cause."""

import threading
from collections import Counter

_lock = threading.Lock()
_counts: Counter[str] = Counter()


def count(cause: str) -> None:
    """Count a replaced process: ``limit``, ``full``, ``lost`` or ``interrupted``."""
    with _lock:
        _counts[cause] += 1


def taken() -> dict[str, int]:
    """Return the counts since the last call."""
    if not _counts:
        return {}
    with _lock:
        counts = dict(_counts)
        _counts.clear()
    return counts
