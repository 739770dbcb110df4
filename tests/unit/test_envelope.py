"""The envelope of a message: what of it is believed, refused, and shown."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import InvalidMessage, TooLarge
from worker import envelope

HEADERS = {"task": "render.one", "id": "0b9b5bd2"}
BODY: list[Any] = [[], {}, {}]
ANYTHING = re.compile(".*")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def signature(task: str, **members: object) -> dict[str, Any]:
    """Return a task signature as Celery's clients send it."""
    return {"task": task, "args": [], "kwargs": {}, "options": {}, "subtask_type": None} | members


def test_a_message_in_order_is_not_broken() -> None:
    """Embed may be null, as clients of other languages send it."""
    assert envelope.broken(HEADERS, BODY) is None
    assert envelope.broken(HEADERS, [[], {}, None]) is None


@given(JSON, JSON)
def test_no_junk_makes_the_check_itself_fail(headers: object, payload: object) -> None:
    """Whatever JSON comes, there is an answer: a reason, or a message that can become a task."""
    told = envelope.broken(headers, payload)
    assert told is None or told


@pytest.mark.parametrize("name", ["task", "id"])
@pytest.mark.parametrize("value", [None, "", 7, [], "x" * 256])
def test_task_and_id_are_text(name: str, value: object) -> None:
    """The reason names the header."""
    told = envelope.broken(HEADERS | {name: value}, BODY)
    assert told is not None
    assert f"headers.{name}" in told


@given(st.dictionaries(st.sampled_from(["retries", "eta", "expires", "timelimit"]), JSON))
def test_a_header_that_is_refused_is_taken_out(headers: dict[str, Any]) -> None:
    """What is left cannot be refused a second time, so Celery can build its request."""
    envelope.take_out_problems(headers, 1800)
    assert envelope.take_out_problems(headers, 1800) == []


@pytest.mark.parametrize(("ahead", "refused"), [(1790, False), (1810, True)])
def test_an_eta_is_at_most_half_the_visibility_timeout_ahead(ahead: int, *, refused: bool) -> None:
    """A message that waits longer is handed out again and again."""
    headers = {"eta": (datetime.now(UTC) + timedelta(seconds=ahead)).isoformat()}
    assert bool(envelope.take_out_problems(headers, 1800)) is refused


def test_what_is_the_services_to_say_is_not_the_producers() -> None:
    """Time limits, the name shown and stamps are replaced; the rest stays."""
    sent = HEADERS | {"timelimit": [1, 1], "shadow": "x", "stamps": 7, "retries": 2}
    mended = envelope.mended(sent)
    assert mended["timelimit"] == [None, None]
    assert (mended["shadow"], mended["stamps"]) == (None, None)
    assert (mended["id"], mended["retries"]) == ("0b9b5bd2", 2)


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


def test_a_message_over_the_limit_is_too_large_whatever_else_is_wrong() -> None:
    """The error names size and limit, and the other problems with them."""
    other = envelope.take_out_problems({"eta": 7}, 1800)
    error = envelope.refusal(other, 11, 10)
    assert isinstance(error, TooLarge)
    assert [problem["path"] for problem in error.details] == ["", "headers.eta"]
    assert "11" in error.message
    assert "10" in error.message
    assert isinstance(envelope.refusal(other, 10, 10), InvalidMessage)
    assert envelope.refusal([], 10, 10) is None


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
