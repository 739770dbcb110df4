"""Log events: a static name and fields that a program can read, whatever is in them."""

import io
import logging
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import InvalidMessage
from tasks.events import log_event
from tasks.runs import numbers
from worker import outcomes

logger = logging.getLogger("tests.events")


def test_an_event_is_a_name_and_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    """Seconds have three digits; what is not known is left out."""
    with caplog.at_level(logging.INFO):
        log_event(logger, "run_done", task="maintenance.vacuum", rows=3, seconds=1.25, error=None)
    (record,) = caplog.records
    assert record.getMessage() == "run_done task=maintenance.vacuum rows=3 seconds=1.250"
    assert (record.__dict__["event"], record.__dict__["fields"]["rows"]) == ("run_done", 3)


@given(st.text())
def test_a_field_cannot_forge_another(text: str) -> None:
    """A line stays one line, and its fields are those that were logged."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger.addHandler(handler)
    try:
        log_event(logger, "event", level=logging.ERROR, reason=text, after=1)
    finally:
        logger.removeHandler(handler)
    (line,) = stream.getvalue().splitlines()
    assert line.isascii()
    name, reason, after = shlex.split(line)
    assert (name, reason.partition("=")[0], after) == ("event", "reason", "after=1")


def test_numbers_of_a_result() -> None:
    """Single values, and of a list or a table how many."""
    result = {"dry_run": False, "skipped": True, "parent": None, "expired": ["a", "b"], "rows": 7}
    assert numbers(result) == {"skipped": True, "expired": 2, "rows": 7}


def test_outcomes_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    """And logged only where something has changed."""
    task = "tests.counted"
    assert outcomes.outcome_of(InvalidMessage.of("no", [])) == outcomes.REFUSED
    assert outcomes.outcome_of(ValueError()) == outcomes.FAILED
    outcomes.count(task, outcomes.STARTED)
    outcomes.count(task, outcomes.SUCCEEDED)
    with caplog.at_level(logging.INFO):
        outcomes.log_counts()
        outcomes.log_counts()
    lines = [record.getMessage() for record in caplog.records if task in record.getMessage()]
    counts = "started=1 succeeded=1 refused=0 retried=0 failed=0"
    assert lines == [f"task_counts task={task} {counts}"]
    assert outcomes.totals()[task] == {"started": 1, "succeeded": 1}
