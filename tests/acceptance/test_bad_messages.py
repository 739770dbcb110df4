"""Messages that no worker can do anything good with: one clear answer, and the worker goes on."""

import base64
import gzip
import json
import uuid
from typing import Any

import psutil
import pytest

from db.cluster.processes import wait_until
from tests.factories import templates
from tests.support.envelopes import body_of, dead_letters, envelope, push
from tests.support.producer import Producer, RefusedError
from worker.local import LocalStack

DEEP = 100_000
RENDER = {"template_id": "no-such-template"}


def test_a_refused_render_is_answered_by_its_task(producer: Producer) -> None:
    """The yardstick of this file: a message in order is answered by its task."""
    with pytest.raises(RefusedError) as refused:
        producer.call("render.one", RENDER)
    assert refused.value.code == "template_not_found"


UNDECODABLE: list[Any] = [
    pytest.param(b"not JSON", "application/json", {}, id="not JSON"),
    pytest.param(b"null", "application/json", {}, id="null"),
    pytest.param(b'{"template_id": "x"}', "application/json", {}, id="an object"),
    pytest.param(b"[1, 2]", "application/json", {}, id="two items"),
    pytest.param(body_of([]), "application/json", {}, id="keywords that are a list"),
    pytest.param(body_of({}, args="x"), "application/json", {}, id="arguments that are text"),
    pytest.param(body_of({}, embed="x"), "application/json", {}, id="embed that is text"),
    pytest.param(
        b'[[], {"x": ' + b"[" * DEEP + b"]" * DEEP + b"}, {}]", "application/json", {}, id="deep"
    ),
    pytest.param(body_of(RENDER), "application/x-python-serialize", {}, id="pickle"),
    pytest.param(body_of(RENDER), "application/x-yaml", {}, id="yaml"),
    pytest.param(
        gzip.compress(body_of(RENDER)),
        "application/json",
        {"compression": "application/x-gzip"},
        id="compressed",
    ),
    pytest.param(
        body_of(RENDER), "application/json", {"compression": "nonsense"}, id="compression unknown"
    ),
    pytest.param(body_of(RENDER), "application/json", {"task": "no.such.task"}, id="unknown task"),
    pytest.param(body_of(RENDER), "application/json", {"task": 7}, id="a task name that is 7"),
]


@pytest.mark.parametrize(("body", "content_type", "headers"), UNDECODABLE)
def test_an_undecodable_message_is_a_dead_letter_and_a_failure(
    producer: Producer, stack: LocalStack, body: bytes, content_type: str, headers: dict[str, Any]
) -> None:
    """The dead letter has the same bytes and the reason; the producer gets a failure."""
    before = worker_processes(stack)
    task_id, message = envelope("render.one", body, headers=headers, content_type=content_type)
    push(stack.valkey.url, "render", message)
    with pytest.raises(RefusedError) as refused:
        producer.answer(task_id)
    assert refused.value.code == "invalid_message"
    # The answer comes first, then the letter; both before another message is taken.
    assert_goes_on(producer)
    letters = [
        letter
        for letter in dead_letters(stack.valkey.url)
        if letter["headers"].get("id") == task_id
    ]
    assert [base64.b64decode(letter["body"]) for letter in letters] == [body]
    assert letters[0]["reason"]
    assert worker_processes(stack) == before


def test_a_link_without_a_queue_is_refused_before_any_work(
    producer: Producer, stack: LocalStack
) -> None:
    """It would end here as a dead letter with the text in it; the answer says how to write it."""
    template = templates.published(producer, "Dear {{ name }}", type="sms")
    message = {"template_id": template, "variables": {"name": "Ada"}}
    link = producer.app.signature("sms.send")
    with pytest.raises(RefusedError) as refused:
        producer.call("render.one", message, link=link)
    assert (refused.value.code, refused.value.paths) == ("invalid_message", {"headers.callbacks"})
    (problem,) = refused.value.details
    assert "the queue of 'sms.send' is missing" in problem["message"]
    assert "options" in problem["message"]
    tasks = [letter["headers"].get("task") for letter in dead_letters(stack.valkey.url)]
    assert "sms.send" not in tasks
    log = "".join(stack.processes[name].output() for name in ("worker", "worker2"))
    assert "the queue of '...'" in log
    assert "sms.send" not in log


@pytest.mark.parametrize("without", ["id", "task"])
def test_a_message_without_an_id_or_a_task_is_a_dead_letter(
    producer: Producer, stack: LocalStack, without: str
) -> None:
    """Its producer cannot be answered."""
    mark = uuid.uuid4().hex
    _, message = envelope("render.one", body_of({"template_id": mark}), without=(without,))
    push(stack.valkey.url, "render", message)

    def kept() -> bool:
        bodies = [base64.b64decode(letter["body"]) for letter in dead_letters(stack.valkey.url)]
        return any(mark.encode() in body for body in bodies)

    assert wait_until(kept, 20)
    assert_goes_on(producer)


@pytest.mark.parametrize(
    ("headers", "path"),
    [
        pytest.param({"eta": "tomorrow"}, "headers.eta", id="eta that is no time"),
        pytest.param({"eta": 7}, "headers.eta", id="eta that is a number"),
        pytest.param({"eta": "9999-12-31T23:59:59+00:00"}, "headers.eta", id="eta in 9999"),
        pytest.param({"expires": "never"}, "headers.expires", id="expires that is no time"),
        pytest.param({"retries": "many"}, "headers.retries", id="retries that are text"),
        pytest.param({"retries": True}, "headers.retries", id="retries that are true"),
    ],
)
def test_an_invalid_header_is_reported_by_name(
    producer: Producer, stack: LocalStack, headers: dict[str, Any], path: str
) -> None:
    """The message is refused with the header's name."""
    task_id, message = envelope("render.one", body_of(RENDER), headers=headers)
    push(stack.valkey.url, "render", message)
    with pytest.raises(RefusedError) as refused:
        producer.answer(task_id)
    assert (refused.value.code, refused.value.paths) == ("invalid_message", {path})
    assert_goes_on(producer)


@pytest.mark.parametrize(
    "headers",
    [
        {"timelimit": "soon"},
        {"timelimit": [0.001, 0.001]},
        {"timelimit": {"hard": 1}},
        {"stamps": 7, "stamped_headers": 7},
        {"stamped_headers": ["a"], "stamps": {"a": [1]}},
        {"shadow": "another name"},
        {"group": 7, "root_id": 7, "parent_id": [], "argsrepr": 7, "kwargsrepr": {}},
    ],
    ids=str,
)
def test_producers_cannot_set_the_services_headers(
    producer: Producer, stack: LocalStack, headers: dict[str, Any]
) -> None:
    """Time limits, names and stamps of a producer are passed over."""
    template = templates.published(producer, "Hello", type="sms")
    body = body_of({"template_id": template})
    task_id, message = envelope("render.one", body, headers=headers)
    push(stack.valkey.url, "render", message)
    assert producer.answer(task_id)["body"] == "Hello"


@pytest.mark.parametrize("field", ["callbacks", "errbacks", "chain", "chord"])
def test_a_callback_to_maintenance_is_refused_and_not_called(
    producer: Producer, stack: LocalStack, field: str
) -> None:
    """However the message is answered, this service does not put maintenance on its queue."""
    queue = f"trap-{uuid.uuid4().hex}"
    signature: dict[str, Any] = {
        "task": "maintenance.purge_templates",
        "args": [],
        "kwargs": {},
        "options": {"queue": queue},
        "subtask_type": None,
        "immutable": True,
    }
    embed: dict[str, Any] = {field: signature if field == "chord" else [signature]}
    template = templates.published(producer, "Hello", type="sms")
    task_id, message = envelope("render.one", body_of({"template_id": template}, embed=embed))
    push(stack.valkey.url, "render", message)
    with pytest.raises(RefusedError) as refused:
        producer.answer(task_id)
    assert (refused.value.code, refused.value.paths) == ("invalid_message", {f"headers.{field}"})
    assert_goes_on(producer)
    assert producer.waiting(queue) == 0


def test_a_message_over_the_limit_is_refused_with_limit_and_size(
    producer: Producer, stack: LocalStack
) -> None:
    """More than a mebibyte is refused whatever is in it."""
    task_id, message = envelope("render.one", body_of({"template_id": "x", "junk": "x" * 1024**2}))
    push(stack.valkey.url, "render", message)
    with pytest.raises(RefusedError) as refused:
        producer.answer(task_id)
    assert refused.value.code == "too_large"
    assert str(1024**2) in refused.value.message


@pytest.mark.parametrize(
    ("mebibytes", "code"), [(3, "template_not_found"), (5, "too_large")], ids=["under", "over"]
)
def test_a_batch_may_be_four_mebibytes(
    producer: Producer, stack: LocalStack, mebibytes: int, code: str
) -> None:
    """It holds the values of a thousand recipients; a single one's message does not."""
    values = {"x": "x" * (mebibytes * 1024)}
    items = [{"key": number, "variables": values} for number in range(1000)]
    message = {"template_id": "no-such-template", "items": items}
    task_id, sent = envelope("render.batch", body_of(message))
    push(stack.valkey.url, "render-bulk", sent)
    with pytest.raises(RefusedError) as refused:
        producer.answer(task_id)
    assert refused.value.code == code
    if code == "too_large":
        assert str(4 * 1024**2) in refused.value.message


def test_positional_arguments_are_refused(producer: Producer, stack: LocalStack) -> None:
    """Messages have keywords only."""
    task_id, message = envelope("render.one", body_of({}, args=["welcome"]))
    push(stack.valkey.url, "render", message)
    with pytest.raises(RefusedError) as refused:
        producer.answer(task_id)
    assert (refused.value.code, refused.value.paths) == ("invalid_message", {"args"})


def test_lone_surrogates_and_special_json_are_refused_with_their_path(
    producer: Producer, stack: LocalStack
) -> None:
    """What JSON can write and UTF-8 cannot hold is refused by place; kombu's types are objects."""
    body = (
        b'[[], {"template_id": "x", "variables": {"a": "\\ud800", "b": NaN, '
        b'"c": {"__type__": "datetime", "__value__": "2026-01-31T00:00:00"}}}, {}]'
    )
    task_id, message = envelope("render.one", body)
    push(stack.valkey.url, "render", message)
    with pytest.raises(RefusedError) as refused:
        producer.answer(task_id)
    assert refused.value.code == "invalid_message"
    assert refused.value.paths == {"variables.a", "variables.b"}


def assert_goes_on(producer: Producer) -> None:
    """Check that a message in order is answered."""
    test_a_refused_render_is_answered_by_its_task(producer)


def worker_processes(stack: LocalStack) -> set[int]:
    """Return the pool processes of both workers."""
    mains = [psutil.Process(stack.processes[name].pid) for name in ("worker", "worker2")]
    return {
        child.pid
        for main in mains
        for child in main.children()
        if "celery" in json.dumps(child.cmdline())
    }
