"""The envelope of a message: which callbacks it may have, and what of it is shown."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker import envelope

ANYTHING = re.compile(".*")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def signature(task: str, **members: object) -> dict[str, Any]:
    """Return a task signature as Celery's clients send it."""
    return {"task": task, "args": [], "kwargs": {}, "options": {}, "subtask_type": None} | members


@pytest.mark.parametrize(
    "embed",
    [
        {"callbacks": [signature("maintenance.vacuum")]},
        {"errbacks": [signature("maintenance.vacuum")]},
        {"chain": [signature("delivery.send"), signature("maintenance.vacuum")]},
        {"chord": signature("maintenance.vacuum")},
        {"callbacks": [signature("a", options={"link": [signature("maintenance.vacuum")]})]},
        {"callbacks": [signature("a", options={"link_error": signature("maintenance.vacuum")})]},
        {
            "callbacks": [
                signature(
                    "celery.group",
                    subtask_type="group",
                    kwargs={"tasks": [signature("maintenance.vacuum")]},
                )
            ]
        },
        {
            "callbacks": [
                signature(
                    "celery.chord",
                    subtask_type="chord",
                    kwargs={"header": [signature("a")], "body": signature("maintenance.vacuum")},
                )
            ]
        },
        {"callbacks": ["maintenance.vacuum"]},
        {"callbacks": 7},
        {"callbacks": [{"task": 7}]},
    ],
)
def test_callbacks_never_reach_maintenance(embed: dict[str, Any]) -> None:
    """However deep in a signature it stands; and what is no signature is refused too."""
    assert envelope.callback_problems(embed, ANYTHING)


@pytest.mark.parametrize(
    ("task", "allowed"), [("delivery.send", True), ("delivery.sendx", False), ("x.y", False)]
)
def test_callbacks_match_the_whole_pattern(task: str, *, allowed: bool) -> None:
    """A pattern of an operator is not a prefix."""
    problems = envelope.callback_problems(
        {"callbacks": [signature(task)]}, re.compile(r"delivery\.send|mail\..*")
    )
    assert (problems == []) is allowed


@given(st.dictionaries(st.text("abc"), JSON), st.text("☃★", min_size=1))
def test_no_value_is_shown(keywords: dict[str, Any], secret: str) -> None:
    """Names and sizes are; a text only where it is an id of the contract."""
    shown = envelope.shown(keywords | {"name": secret, "variables": {"name": secret}})
    assert secret not in shown


def test_ids_are_shown() -> None:
    """So that a row of Flower can be found by template, version and language."""
    keywords = {"template_id": "welcome", "version": "2", "language": "de-AT", "dry_run": True}
    assert envelope.shown(keywords) == (
        "<template_id=welcome version=2 language=de-AT dry_run=True>"
    )
    hidden = envelope.shown({"template_id": "No Id", "version": "a b", "language": "Zoë"})
    assert hidden == "<template_id=(5 characters) version=(3 characters) language=(3 characters)>"
