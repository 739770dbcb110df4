"""The envelope of a message: which callbacks it may have, and what of it is shown."""

import itertools
import re
from dataclasses import replace
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from tests.support.cases import each
from worker import envelope
from worker.envelope import Rules
from worker.envelope.callbacks import MOST_SIGNATURES
from worker.queues import QueueName

RULES: Final = Rules(
    tasks=frozenset({"render.one", "template.get"}),
    callbacks=re.compile(".*"),
    longest_wait=1800,
    message_bytes=1024 * 1024,
    batch_bytes=4 * 1024 * 1024,
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
# Of an array or an object only the size is shown, whatever it holds.
JSON = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(), SCALARS, max_size=3)


def signature(task: str, **members: object) -> dict[str, Any]:
    """Return a task signature as Celery's clients send it."""
    options = {"queue": "delivery"}
    return {"task": task, "args": [], "kwargs": {}, "options": options} | members


@each(
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


def test_a_message_has_a_most_of_signatures() -> None:
    """The limit itself is allowed, one more is a problem, and the rest is not read."""
    fitting = [signature("app.done")] * MOST_SIGNATURES
    assert envelope.callback_problems({"callbacks": fitting}, RULES) == []
    (problem,) = envelope.callback_problems({"callbacks": [*fitting, "no signature"]}, RULES)
    assert problem["message"] == f"expected at most {MOST_SIGNATURES} task signatures"


@each(("task", "allowed"), [("delivery.send", True), ("delivery.sendx", False), ("x.y", False)])
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


@each("form", FORMS)
def test_a_callback_names_its_queue_unless_its_task_is_ours(form: str) -> None:
    """In every form that Celery reads; the problem says how to write it."""
    (problem,) = envelope.callback_problems(FORMS[form](LOST), RULES)
    assert "'sms.send'" in problem["message"]
    assert '{"queue": "…"}' in problem["message"]
    for found in (signature("sms.send"), signature("render.one", options={})):
        assert envelope.callback_problems(FORMS[form](found), RULES) == []


@each(
    "options",
    [
        {"headers": {"task": "maintenance.prune_records"}},
        {"headers": {"id": "another"}},
        {"headers": {"retries": 5, "own": 1}},
        {"headers": 1},
        {"countdown": -3_000_000_000},
        {"expires": -3_000_000_000},
    ],
)
def test_an_option_that_changes_what_was_checked_is_refused(options: dict[str, Any]) -> None:
    """Celery writes these headers over its own, and refuses these times after the work is done."""
    found = signature("render.one", options={"queue": "render", **options})
    (problem,) = envelope.callback_problems({"callbacks": [found]}, RULES)
    assert f"options.{next(iter(options))}" in problem["message"]


@each("options", [{"headers": {"traceparent": "00-1"}}, {"countdown": -5}, {"expires": 60}])
def test_headers_of_the_producer_and_times_are_options(options: dict[str, Any]) -> None:
    """Tracing needs the headers."""
    found = signature("render.one", options={"queue": "render", **options})
    assert envelope.callback_problems({"callbacks": [found]}, RULES) == []


@each(("queue", "place"), itertools.product(QueueName, ["queue", "routing_key"]))
def test_a_task_of_another_service_is_not_sent_to_a_queue_of_ours(place: str, queue: str) -> None:
    """It would become a dead letter there, as one without a queue; tasks of ours may be."""
    options = {"queue": "delivery", place: queue}
    for lost in (
        signature("sms.send", options=options),
        canvas("group", tasks=[signature("sms.send")]) | {"options": options},
    ):
        (problem,) = envelope.callback_problems({"callbacks": [lost]}, RULES)
        assert f"'{queue}' is a queue of this service" in problem["message"]
    own = signature("render.one", options=options)
    for found in (own, canvas("group", tasks=[own]) | {"options": options}):
        problems = envelope.callback_problems({"callbacks": [found]}, RULES)
        assert bool(problems) == (queue == QueueName.DEAD_LETTERS)


@each(
    ("task", "place", "name"),
    itertools.product(
        ["sms.send", "render.one"],
        ["queue", "routing_key"],
        [
            "unacked",
            "unacked_index",
            "unacked:consumers",
            "_kombu.binding.render",
            "dead-letters",
            "dead-letters:figures",
            "celery-task-meta-1",
        ],
    ),
)
def test_no_task_is_sent_to_a_key_of_the_broker(name: str, place: str, task: str) -> None:
    """A list with that name would stop all deliveries; a name that only looks like one is fine."""
    for kind in ("callbacks", "errbacks"):
        sent = signature(task, options={"queue": "delivery", place: name})
        (problem,) = envelope.callback_problems({kind: [sent]}, RULES)
        assert f"options.{place}" in problem["message"]
        fine = signature(task, options={"queue": "delivery", place: f"my-{name}"})
        assert envelope.callback_problems({kind: [fine]}, RULES) == []


@each(("task", "kind"), [("map", "xmap"), ("chunks", "chunks")])
def test_a_canvas_that_celery_cannot_send_is_refused(task: str, kind: str) -> None:
    """It looks up the queue of the signature in it, which is an object and no name."""
    mapped = canvas(task, task=signature("render.one"), it=[1], n=1)
    mapped |= {"subtask_type": kind, "options": {"queue": "delivery"}}
    (problem,) = envelope.callback_problems({"callbacks": [mapped]}, RULES)
    assert "expected one of chain, group, chord" in problem["message"]


@each("form", FORMS)
def test_a_chain_has_a_task(form: str) -> None:
    """Celery would fail a finished task over one without, where it needs the first."""
    (problem,) = envelope.callback_problems(FORMS[form](canvas("chain", tasks=[])), RULES)
    assert "at least one task signature" in problem["message"]


def test_a_signature_has_what_its_stamps_name() -> None:
    """Celery looks each up among the options when it sends it."""
    stamped = signature("render.one", options={"stamped_headers": ["shop"]})
    (problem,) = envelope.callback_problems({"callbacks": [stamped]}, RULES)
    assert "stamped_headers" in problem["message"]
    stamped["options"]["shop"] = ["a"]
    assert envelope.callback_problems({"callbacks": [stamped]}, RULES) == []


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
