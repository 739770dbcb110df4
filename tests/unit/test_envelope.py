"""The envelope of a message: which callbacks it may have, and what of it is shown."""

import re
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker import envelope
from worker.envelope import Rules
from worker.queues import QueueName

RULES: Final = Rules(
    tasks=frozenset({"render.one", "template.get"}),
    callbacks=re.compile(".*"),
    longest_wait=1800,
    message_bytes=1024 * 1024,
    batch_bytes=4 * 1024 * 1024,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def signature(task: str, **members: object) -> dict[str, Any]:
    """Return a task signature as Celery's clients send it."""
    options = {"queue": "delivery"}
    return {"task": task, "args": [], "kwargs": {}, "options": options} | members


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
    assert envelope.callback_problems(embed, RULES)


@pytest.mark.parametrize(
    ("task", "allowed"), [("delivery.send", True), ("delivery.sendx", False), ("x.y", False)]
)
def test_callbacks_match_the_whole_pattern(task: str, *, allowed: bool) -> None:
    """A pattern of an operator is not a prefix."""
    rules = replace(RULES, callbacks=re.compile(r"delivery\.send|mail\..*"))
    problems = envelope.callback_problems({"callbacks": [signature(task)]}, rules)
    assert (problems == []) is allowed


def canvas(kind: str, **kwargs: object) -> dict[str, Any]:
    """Return a signature of Celery's own."""
    return signature(f"celery.{kind}", subtask_type=kind, options={}, kwargs=kwargs)


LOST: Final = signature("sms.send", options={})
"""A task of another service, without its queue."""

FORMS: Final[dict[str, Any]] = {
    "link": lambda it: {"callbacks": [it]},
    "link_error": lambda it: {"errbacks": [it]},
    "the next of a chain": lambda it: {"chain": [it]},
    "the last of a chain": lambda it: {"chain": [it, signature("a")]},
    "a chord's body": lambda it: {"chord": it},
    "in a group": lambda it: {"callbacks": [canvas("group", tasks=[signature("a"), it])]},
    "in a chain": lambda it: {"callbacks": [canvas("chain", tasks=[signature("a"), it])]},
    "in a header": lambda it: {
        "chain": [canvas("chord", header=[it], body=signature("a"), kwargs={})]
    },
    "in a header that is a group": lambda it: {
        "chain": [
            canvas("chord", header=canvas("group", tasks=[it]), body=signature("a"), kwargs={})
        ]
    },
    "in a body": lambda it: {
        "errbacks": [canvas("chord", header=[signature("a")], body=it, kwargs={})]
    },
    "in a group of groups": lambda it: {
        "callbacks": [canvas("group", tasks=[canvas("group", tasks=[it])])]
    },
    "link of a link": lambda it: {
        "callbacks": [signature("a", options={"queue": "q", "link": it})]
    },
    "link_error of a link_error": lambda it: {
        "errbacks": [signature("a", options={"queue": "q", "link_error": [it]})]
    },
    "chain of a link": lambda it: {
        "callbacks": [signature("a", options={"queue": "q", "chain": [it]})]
    },
    "chord of a link": lambda it: {
        "callbacks": [signature("a", options={"queue": "q", "chord": it})]
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_a_callback_names_its_queue_unless_its_task_is_ours(form: str) -> None:
    """In every form that Celery reads; the problem says how to write it."""
    (problem,) = envelope.callback_problems(FORMS[form](LOST), RULES)
    assert "'sms.send'" in problem["message"]
    assert '{"queue": "…"}' in problem["message"]
    for found in (signature("sms.send"), signature("render.one", options={})):
        assert envelope.callback_problems(FORMS[form](found), RULES) == []


@pytest.mark.parametrize("queue", QueueName)
@pytest.mark.parametrize("place", ["queue", "routing_key"])
def test_a_task_of_another_service_is_not_sent_to_a_queue_of_ours(place: str, queue: str) -> None:
    """It would become a dead letter there, as one without a queue; tasks of ours may be."""
    options = {"queue": "delivery", place: queue}
    for lost in (
        signature("sms.send", options=options),
        canvas("group", tasks=[signature("sms.send")]) | {"options": options},
        canvas("map", task=signature("render.one"), it=[])
        | {"subtask_type": "xmap", "options": options},
    ):
        (problem,) = envelope.callback_problems({"callbacks": [lost]}, RULES)
        assert f"'{queue}' is a queue of this service" in problem["message"]
    own = signature("render.one", options=options)
    for found in (own, canvas("group", tasks=[own]) | {"options": options}):
        assert envelope.callback_problems({"callbacks": [found]}, RULES) == []


def test_map_names_its_queue_and_chunks_cannot() -> None:
    """Their messages are for celery.map and celery.starmap, which this service does not run."""
    mapped = canvas("map", task=signature("render.one", options={}), it=[1])
    mapped["subtask_type"] = "xmap"
    chunks = canvas("chunks", task=signature("render.one"), it=[1], n=1)
    (problem,) = envelope.callback_problems({"callbacks": [mapped]}, RULES)
    assert "'celery.map' is missing" in problem["message"]
    mapped["options"] = chunks["options"] = {"queue": "delivery"}
    assert envelope.callback_problems({"callbacks": [mapped]}, RULES) == []
    (problem,) = envelope.callback_problems({"callbacks": [chunks]}, RULES)
    assert "celery.group" in problem["message"]


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
