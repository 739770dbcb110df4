"""When a worker with messages in hand counts as stuck, and when it only takes its time."""

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from worker.node.progress import GRACE_SECONDS, Work, is_stuck, progressed_at

ALLOWED = 30.0


def work(at: float, *tags: str, started: int = 0, **options: Any) -> Work:  # noqa: ANN401 - those of Work
    """Return what there is to do."""
    return Work(at, frozenset(tags), started, **options)


def stuck(*moments: Work) -> bool:
    """Tell whether a worker is stuck that was looked at in these moments."""
    last = moments[0].at
    for before, now in itertools.pairwise(moments):
        last = progressed_at(last, before, now)
    return is_stuck(moments[-1], last, ALLOWED)


def test_an_idle_worker_is_not_stuck() -> None:
    """However long nothing comes; the first message after it has its time."""
    assert not stuck(work(0), work(1000))
    assert not stuck(work(0), work(1000), work(1005, "1"), work(1030, "1"))


def test_messages_that_nobody_starts() -> None:
    """They are allowed as long as a task may take."""
    assert not stuck(work(0, "1", "2"), work(30, "1", "2"))
    assert stuck(work(0, "1", "2"), work(30, "1", "2"), work(31, "1", "2"))


def test_new_messages_are_no_progress() -> None:
    """They come until the prefetch count is reached, whatever becomes of them."""
    assert stuck(work(0, "1"), work(20, "1", "2"), work(40, "1", "2", "3"))


def test_a_message_that_is_settled_or_started_is() -> None:
    """One is enough, for all of them."""
    assert not stuck(work(0, "1", "2"), work(20, "2"), work(40, "2"))
    assert not stuck(work(0, "1"), work(20, "1", started=1), work(40, "1", started=1))
    assert stuck(work(0, "1", "2"), work(20, "2"), work(51, "2"))


def test_a_process_may_work_as_long_as_its_time_limit() -> None:
    """Maintenance takes half an hour; what is over its limit is not work."""
    long: Any = {"running": [(1200.0, 1700.0)]}
    assert not stuck(work(0, "1", "2", **long), work(1200, "1", "2", **long))
    over: Any = {"running": [(31 + GRACE_SECONDS, 30.0)]}
    assert stuck(work(0, "1", "2"), work(60, "1", "2", **over))
    assert not stuck(work(0, "1", "2"), work(60, "1", "2", running=[(31.0, 30.0), (99.0, None)]))


@given(st.lists(st.tuples(st.integers(0, 9), st.frozensets(st.sampled_from("abc"))), min_size=1))
def test_an_empty_hand_is_never_stuck(moments: list[tuple[int, frozenset[str]]]) -> None:
    """Whatever was before it."""
    at = 0
    every = []
    for step, tags in moments:
        at += step
        every.append(work(at, *tags))
    every.append(work(at + 1000))
    assert not stuck(*every)
