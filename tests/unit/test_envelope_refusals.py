"""Which messages are refused, with which reason, and what becomes of those that are accepted."""

import base64
import inspect
import itertools
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from celery import Celery, Task
from celery.app.amqp import AMQP
from celery.app.task import Context
from celery.canvas import Signature, _chain, _chord, chunks, group, xmap
from hypothesis import given
from hypothesis import strategies as st
from kombu import Producer

from tasks.errors import InvalidMessage, TooLarge
from tasks.rendering.limits import Limits
from tests.support.cases import each
from tests.support.clients import (
    KEYWORDS,
    QUEUE,
    TASK,
    celery,
    celery_node,
    celery_php,
    gocelery,
    node_celery_ts,
    raw,
    rusty_celery,
    signature,
)
from tests.support.malformed import malformed
from tests.support.malformed_case import Malformed
from worker.envelope import Envelope, Parts, Refusal, Rules, check, read, signatures
from worker.envelope.headers import CALLBACKS, CELERY_NAMES, CONTEXT_NAMES, OWN_NAMES
from worker.settings import Settings

RULES: Final = Rules(
    tasks=frozenset({TASK, "render.batch", "bundle.apply"}),
    callbacks=re.compile(".*"),
    longest_wait=1800,
    message_bytes=1024 * 1024,
    batch_bytes=4 * 1024 * 1024,
)
NOW: Final = datetime(2026, 1, 31, 10, tzinfo=UTC)


def accepted(message: dict[str, Any], rules: Rules = RULES) -> Envelope:
    """Return the envelope of a message that must not be refused."""
    envelope = read(raw(message), rules, QUEUE)
    assert isinstance(envelope, Envelope), envelope.reason
    return envelope


def refused(entry: bytes | dict[str, Any], rules: Rules = RULES) -> Refusal:
    """Return the refusal of a message that must not be accepted."""
    refusal = read(entry if isinstance(entry, bytes) else raw(entry), rules, QUEUE)
    assert isinstance(refusal, Refusal)
    return refusal


def test_a_malformed_message_is_refused_where_it_is_wrong() -> None:
    """The reason names the first path; the refusal has the task id if the message has one."""

    @each("case", malformed())
    def check(case: Malformed) -> None:
        refusal = refused(case.entry)
        assert (refusal.kind, refusal.problems[0]["path"]) == (case.kind, case.path)
        assert (refusal.task_id == case.task_id) is case.answered
        assert refusal.reason.startswith(case.path)
        assert "expected" in refusal.reason or "limit" in refusal.reason or ":" in refusal.reason

    check()


def test_each_malformed_message_has_a_name_of_its_own() -> None:
    """So that none hides another."""
    assert len({case.name for case in malformed()}) == len(malformed())


@given(st.binary())
def test_no_bytes_make_the_check_fail(entry: bytes) -> None:
    """There is always an answer."""
    refused(entry)


def test_all_problems_come_in_one_answer() -> None:
    """In headers, properties, body and callbacks alike."""
    message = celery(
        {"callbacks": [signature("maintenance.vacuum")], "errbacks": 7},
        headers={"retries": "x", "eta": "x", "ignore_result": 7, "task": "no.such.task"},
        properties={"priority": "x", "delivery_tag": None},
    )
    refusal = refused(message | {"content-type": "text/plain"})
    assert {problem["path"] for problem in refusal.problems} == {
        "properties.delivery_tag",
        "content-type",
        "headers.task",
        "headers.retries",
        "headers.ignore_result",
        "headers.eta",
        "properties.priority",
        "headers.callbacks",
        "headers.errbacks",
    }
    assert "more" in refusal.reason


def test_an_answer_is_an_error_of_the_contract() -> None:
    """Readable by every client, with the code and all problems."""
    invalid, large = refused(b"hello").error(), refused(b"x" * 20_000_000).error()
    assert isinstance(invalid, InvalidMessage)
    assert isinstance(large, TooLarge)
    assert invalid.details
    assert "20000000" in large.message
    assert str(RULES.raw_bytes) in large.message


@each(
    ("headers", "properties", "expected"),
    [
        ({"id": "a"}, {"correlation_id": "b"}, "a"),
        ({"id": None}, {"correlation_id": "b"}, "b"),
        ({"id": "x" * 256}, {"correlation_id": "b"}, "b"),
        ({"id": 7}, {"correlation_id": None}, None),
        ({"id": "\x00"}, {"correlation_id": ""}, None),
    ],
)
def test_an_answer_goes_to_the_id_else_to_the_correlation(
    headers: dict[str, Any], properties: dict[str, Any], expected: str | None
) -> None:
    """Celery's clients send the same text as both."""
    message = celery(headers=headers | {"retries": "x"}, properties=properties)
    assert refused(message).task_id == expected


def test_protocol_1_is_answered_where_it_has_the_id() -> None:
    """In the body; gocelery makes up a correlation that nobody waits for."""
    message = gocelery()
    body = json.loads(base64.b64decode(message["body"]))
    refusal = refused(message)
    assert refusal.task_id == body["id"] != message["properties"]["correlation_id"]
    assert refusal.reason.endswith("protocol 1 is not supported, send protocol 2")


def test_a_large_entry_is_answered_without_being_parsed() -> None:
    """By what is written as its correlation."""
    rules = replace(RULES, message_bytes=100, batch_bytes=100, headers_bytes=100)
    message = celery(task_id="an-id")
    assert refused(message, rules).task_id == "an-id"
    assert refused(b'{"correlation_id": "\xff' + b"x" * 1000 + b'"}', rules).task_id is None


@pytest.mark.parametrize(
    ("task", "size", "code"),
    [
        (TASK, 1024 * 1024, None),
        (TASK, 1024 * 1024 + 1, "too_large"),
        ("render.batch", 4 * 1024 * 1024, None),
        ("render.batch", 4 * 1024 * 1024 + 1, "too_large"),
        ("bundle.apply", 4 * 1024 * 1024, None),
    ],
)
@pytest.mark.parametrize("encoding", ["base64", "utf-8"])
def test_a_body_has_the_size_that_its_task_may_have(
    task: str, size: int, code: str | None, encoding: str
) -> None:
    """Its own bytes count, however they are encoded; emojis and quotes are the worst."""
    empty = json.dumps([[], {"a": ""}, {}]).encode()
    body = empty.replace(b'""', b'"' + b"\\" * ((size - len(empty)) // 2 * 2) + b'"')
    body += b" " * (size - len(body))
    message = celery(headers={"task": task}, properties={"body_encoding": encoding})
    message["body"] = base64.b64encode(body).decode() if encoding == "base64" else body.decode()
    answer = read(raw(message), RULES, QUEUE)
    assert (answer.code if isinstance(answer, Refusal) else None) == code
    if isinstance(answer, Refusal):
        assert f"{size} bytes, the limit is {size - 1}" in answer.reason


def test_headers_of_celery_do_not_count_as_the_producers_own() -> None:
    """What kwargsrepr repeats of a large message is replaced."""
    limit = RULES.headers_bytes
    assert accepted(celery(headers={"kwargsrepr": "x" * limit, "stamps": {"a": "x" * limit}}))
    assert accepted(celery(headers={"mine": "x" * (limit - 100)}))
    assert refused(celery(headers={"mine": "x" * limit})).code == "too_large"
    assert refused(celery(properties={"mine": "x" * limit})).code == "too_large"


def test_what_is_the_services_to_say_is_replaced() -> None:
    """Time limits, the name shown, stamps, and the texts for people, which hold no value."""
    sent = {
        "timelimit": "soon",
        "shadow": "x",
        "stamps": 7,
        "stamped_headers": 7,
        "argsrepr": "Zoë",
        "kwargsrepr": ["Zoë"],
    }
    headers = accepted(celery(headers=sent)).payload["headers"]
    assert headers["timelimit"] == [None, None]
    assert [headers[name] for name in ("shadow", "stamps", "stamped_headers")] == [None] * 3
    assert headers["argsrepr"] == "()"
    assert headers["kwargsrepr"] == (
        "<template_id=no-such-template language=de-AT variables=(3 items)>"
    )


@each(
    ("junk", "name"),
    itertools.product(
        [7, [], {}, True, "", "\x00", "x" * 256],
        ["root_id", "parent_id", "group", "origin", "lang"],
    ),
)
def test_a_name_for_monitors_that_is_none_is_left_out(name: str, junk: object) -> None:
    """Flower looks tasks up by it."""
    assert accepted(celery(headers={name: junk})).payload["headers"][name] is None


@each(
    ("name", "junk"), itertools.product(sorted(CONTEXT_NAMES | OWN_NAMES), [None, 7, {"a": 1}, "x"])
)
def test_a_header_named_as_an_attribute_of_a_request_is_left_out(name: str, junk: object) -> None:
    """In Celery's Context it would take the place of a method."""
    assert name not in accepted(celery(headers={name: junk})).payload["headers"]


def test_headers_of_the_producer_are_kept() -> None:
    """Tracing needs them, also when a message is tried again."""
    own = {"traceparent": "00-1", "baggage": {"a": [None, "Zoë"]}, "": 1}
    headers = accepted(celery(headers=own)).payload["headers"]
    assert {name: headers[name] for name in own} == own


@each("missing", [None, ...])
def test_retries_that_are_left_out_are_none(missing: object) -> None:
    """rusty-celery and clients written by hand send null."""
    message = celery(headers={"retries": missing})
    if missing is ...:
        message["headers"].pop("retries")
    assert accepted(message).payload["headers"]["retries"] == 0


@each(
    ("sent", "read_as"),
    [(None, 0), (0, 0), (9, 9), (10, 9), (255, 9), (-1, 0), ("5", 5), (" 7 ", 7), ("99", 9)],
)
def test_a_priority_is_read_as_kombu_does(sent: object, read_as: int) -> None:
    """As a number or as text of one, cut to 0 to 9."""
    payload = accepted(celery(properties={"priority": sent})).payload
    assert payload["properties"]["priority"] == read_as


@each(
    ("sent", "name"),
    itertools.product(
        [
            "2026-01-31T10:00:00+00:00",
            "2026-01-31T10:00:00Z",
            "2026-01-31T10:00:00",
            "2026-01-31 10:00:00",
            "2026-01-31T10:00:00.000Z",
            "2026-01-31T10:00:00.000000000Z",
            "20260131T100000Z",
            "2026-01-31T15:30:00+05:30",
            "2026-W05-6T10:00:00+00:00",
        ],
        ["eta", "expires"],
    ),
)
def test_a_time_has_one_form_for_celery(name: str, sent: str) -> None:
    """Clients write ISO 8601 in many ways, of which Celery's parser reads some."""
    envelope = accepted(celery(headers={name: sent}))
    assert envelope.payload["headers"][name] == NOW.isoformat()
    assert envelope.eta == (NOW.timestamp() if name == "eta" else None)


@each(("ahead", "is_accepted"), [(1790, True), (1810, False)])
def test_an_eta_is_as_far_ahead_as_the_rules_say(ahead: int, *, is_accepted: bool) -> None:
    """The broker keeps a message no longer."""
    at = (datetime.now(UTC) + timedelta(seconds=ahead)).isoformat()
    answer = read(raw(celery(headers={"eta": at})), RULES, QUEUE)
    assert isinstance(answer, Envelope) is is_accepted
    assert accepted(celery(headers={"expires": "9999-01-01T00:00:00"}))


def test_a_message_belongs_to_the_queue_that_it_was_found_in() -> None:
    """What a producer writes as its route may be a queue that nobody reads."""
    sent = celery(
        properties={"delivery_info": {"exchange": "x", "routing_key": "y", "redelivered": True}}
    )
    delivery = accepted(sent).payload["properties"]["delivery_info"]
    assert delivery == {"exchange": "", "routing_key": QUEUE, "redelivered": True}
    kept = read(raw(sent), RULES)
    assert isinstance(kept, Envelope)
    assert kept.payload["properties"]["delivery_info"]["routing_key"] == "y"


def test_base64_may_be_broken_into_lines() -> None:
    """As MIME has it, and some languages' standard encoders."""
    message = celery()
    message["body"] = base64.encodebytes(base64.b64decode(message["body"])).decode()
    assert accepted(message).content.kwargs == KEYWORDS


def test_values_that_only_python_reads_reach_the_message_model() -> None:
    """It names their place; numbers of any length are among them."""
    message = celery()
    body = '[[], {"a": "\\ud800", "b": NaN, "c": 123456789012345678901234567890}, {}]'
    message["body"] = base64.b64encode(body.encode()).decode()
    kwargs = accepted(message).content.kwargs
    assert kwargs["a"] == "\ud800"
    assert kwargs["b"] != kwargs["b"]
    assert kwargs["c"] == 123456789012345678901234567890


def test_times_in_callbacks_are_text_for_celery() -> None:
    """Its Python client leaves a datetime to kombu, which marks it as one."""
    marked = {"__type__": "datetime", "__value__": "2026-01-31T10:00:00+00:00"}
    inner = signature(eta=marked)
    inner["args"] = [marked]
    envelope = accepted(celery({"callbacks": [signature(link=[inner], expires=marked)]}))
    assert envelope.content.embed is not None
    assert list(envelope.content) == json.loads(envelope.body)
    (outer,) = envelope.content.embed["callbacks"]
    assert outer["options"]["expires"] == NOW.isoformat()
    assert outer["options"]["link"][0]["options"]["eta"] == NOW.isoformat()
    assert outer["options"]["link"][0]["args"] == [marked]


@each("client", [celery, celery_node, node_celery_ts, celery_php, rusty_celery])
def test_a_message_comes_out_as_it_was_sent(client: Callable[[], dict[str, Any]]) -> None:
    """The task, its id, its keywords and no arguments."""
    message = client()
    envelope = accepted(message)
    assert (envelope.task, envelope.id) == (TASK, message["headers"]["id"])
    assert (envelope.content.args, envelope.content.kwargs) == ([], KEYWORDS)
    assert json.loads(envelope.body) == list(envelope.content)
    assert envelope.payload["body"] == envelope.body
    assert envelope.payload["properties"]["correlation_id"] == (
        message["properties"].get("correlation_id", envelope.id)
    )


def test_amqp_headers_of_types_that_json_does_not_have_are_kept() -> None:
    """RabbitMQ writes times into x-death."""
    death = [{"count": 1, "time": NOW, "queue": "render"}]
    parts = Parts(
        {"task": TASK, "id": "a", "x-death": death, "x-delivery-count": 2},
        {"correlation_id": "a"},
        b"[[], {}, {}]",
        "application/json",
        "utf-8",
    )
    envelope = check(parts, RULES)
    assert isinstance(envelope, Envelope)
    assert envelope.payload["headers"]["x-death"] == death


@each(
    "parts",
    [
        Parts(None, None, None, None),
        Parts({}, {}, b"", "application/json"),
        Parts({"id": "\ud800", "task": TASK}, {}, b"[[], {}, {}]", "application/json"),
        Parts({"id": "a", "task": TASK}, {}, "\ud800", "application/json"),
        Parts({"id": "a", "task": TASK}, {}, b"[[], {}, {}]", b"application/json", b"utf-8"),
    ],
)
def test_parts_that_are_not_in_order_are_refused(parts: Parts) -> None:
    """AMQP lets them through."""
    refusal = check(parts, RULES)
    assert isinstance(refusal, Refusal)
    assert refusal.reason


def test_the_rules_are_made_of_settings_and_tasks() -> None:
    """Of Celery's own tasks none may be called: celery.map calls any other past its checks."""
    settings = Settings.model_validate(
        {
            "database_url": "postgresql://a/b",
            "broker_url": "redis://a",
            "result_backend": "redis://a",
            "callbacks": "mail.*",
            "limits": Limits(message_bytes=1, batch_bytes=2),
        }
    )
    rules = Rules.of(settings, [TASK, "celery.map"])
    assert rules.tasks == {TASK}
    assert rules.callbacks.fullmatch("mail.send")
    assert (rules.longest_wait, rules.bytes_of(TASK), rules.bytes_of("render.batch")) == (
        1800,
        1,
        2,
    )


def test_every_attribute_of_celerys_context_is_known_by_name() -> None:
    """A header of that name would become it."""
    attributes = {name for name in vars(Context) if not name.startswith("__")}
    assert attributes <= CELERY_NAMES | CALLBACKS


def test_every_parameter_of_celerys_client_is_an_option_or_is_none() -> None:
    """A callback with one that Celery gives itself would end in a TypeError."""
    app = Celery(set_as_current=False)
    functions = [
        Task.apply_async,
        Celery.send_task,
        AMQP.as_task_v2,
        app.amqp.send_task_message,
        Producer.publish,
        Producer._publish,
        Producer._prepare,
    ]
    for kind in (Signature, group, _chain, _chord, xmap, chunks):
        functions += [kind.__init__, kind.apply_async, kind.freeze]
    functions += [_chain.run, _chord.run]
    named = {
        name
        for function in functions
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    }
    known = signatures._OPTIONS.keys() | signatures._NOT_OPTIONS
    assert {name for name in named if name[0] != "_"} - {"stamps"} <= known
    assert {name for name in vars(Context) if not name.startswith("__")} - {"stamps"} <= known
