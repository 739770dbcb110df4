"""``render.batch`` on real parts: broker, two workers of two processes each, result backend."""

import json
import threading
import uuid
from typing import Any

import pytest

from db.cluster.processes import wait_until
from tests.factories import templates
from tests.support.envelopes import body_of, envelope, push
from tests.support.producer import Producer, RefusedError
from worker.local import LocalStack

QUEUE = "render-bulk"
BATCH_BYTES = 4 * 1024 * 1024
MESSAGE_BYTES = 1024 * 1024
LANGUAGES = ("en", "de", "fr", "de-AT", "ja")


def batch(producer: Producer, template: str, items: object, **keywords: Any) -> dict[str, Any]:  # noqa: ANN401 - a message's keywords
    """Render a batch."""
    message = {"template_id": template, "items": items} | keywords
    return producer.call("render.batch", message, queue=QUEUE)


def sent(producer: Producer, stack: LocalStack, task: str, body: bytes) -> dict[str, Any]:
    """Return the answer to a message with a body that is exactly ``body``."""
    task_id, message = envelope(task, body)
    push(stack.valkey.url, QUEUE, message)
    return producer.answer(task_id)


def padded(size: int, keywords: dict[str, Any], last: dict[str, Any]) -> bytes:
    """Return the body of a message, ``size`` bytes long by the value ``x`` of ``last``."""
    last["x"] = ""
    last["x"] = "a" * (size - len(body_of(keywords)))
    body = body_of(keywords)
    assert len(body) == size
    return body


def padded_batch(size: int, template: str) -> bytes:
    """Return the body of a batch of ``size`` bytes, whose items are each within their limit."""
    items: list[dict[str, Any]] = [
        {"key": number, "variables": {"x": "a" * 200_000}} for number in range(size // 200_000)
    ]
    items.append({"key": "last", "variables": {"x": ""}})
    return padded(size, {"template_id": template, "items": items}, items[-1]["variables"])


def logs(stack: LocalStack) -> str:
    """Return what the workers have logged."""
    return "".join((stack.logs / f"{name}.log").read_text() for name in ("worker", "worker2"))


def test_one_version_serves_a_whole_batch(producer: Producer) -> None:
    """Though others are published meanwhile, with translations that are read one by one."""
    template = templates.created(producer, type="sms")

    def publish() -> None:
        text = f"{uuid.uuid4()} {{{{ x }}}}"
        translations = {tag: {"body": f"{tag} {text}"} for tag in ("de", "fr")}
        message = {"template_id": template, "body": f"en {text}", "translations": translations}
        answer = producer.call("version.publish", message)
        texts[answer["version"]] = text.split(maxsplit=1)[0]

    texts: dict[str, str] = {}
    stop = threading.Event()

    def publish_on() -> None:
        while not stop.is_set():
            publish()

    publish()
    items = [
        {"key": number, "variables": {"x": number}, "language": LANGUAGES[number % len(LANGUAGES)]}
        for number in range(500)
    ]
    answers: list[dict[str, Any]] = []
    author = threading.Thread(target=publish_on)
    author.start()
    try:
        # As many as it takes to meet versions that came and went.
        while len({answer["version"] for answer in answers}) < 10 and len(answers) < 100:
            answers.append(batch(producer, template, items))
    finally:
        stop.set()
        author.join()
    assert len({answer["version"] for answer in answers}) > 1
    for answer in answers:
        assert answer["rendered"] == len(items)
        own = texts[answer["version"]]
        assert [item["body"] for item in answer["items"]] == [
            f"{language} {own} {number}"
            for number, language in zip(
                range(500), ("en", "de", "fr", "de", "en") * 100, strict=True
            )
        ]


def test_two_producers_read_the_same_result(producer: Producer, stack: LocalStack) -> None:
    """Celery's ``AsyncResult.get``, and a client that knows Redis and JSON."""
    template = templates.published(producer, "<p>{{ x }}</p>", subject="{{ x }}", variables=["x"])
    items = [
        {"key": "é😀\u2028", "variables": {"x": '<é😀\u2028"\\>'}},
        {"key": 2, "variables": {}},
        {"key": 3, "variables": {"x": "b"}, "language": "de"},
    ]
    message = {"template_id": template, "items": items}
    with stack.producer() as celery:
        result = celery.send_task("render.batch", kwargs=message, queue=QUEUE)
        answer = result.get(timeout=30)
    raw = producer.backend.get(f"celery-task-meta-{result.id}")
    assert isinstance(raw, bytes)
    kept = json.loads(raw.decode())
    assert list(kept)[:4] == ["status", "result", "traceback", "children"]
    assert (kept["status"], kept["result"]) == ("SUCCESS", answer)
    assert [item["key"] for item in answer["items"]] == ["é😀\u2028", 2, 3]
    assert [item["ok"] for item in answer["items"]] == [True, False, True]
    assert answer["items"][0]["body"] == "<p>&lt;é😀\u2028&quot;\\&gt;</p>"
    ttl = producer.backend.ttl(f"celery-task-meta-{result.id}")
    assert isinstance(ttl, int)
    assert 0 < ttl <= 86_400


@pytest.mark.parametrize("way", ["link", "chain"])
def test_a_linked_task_gets_the_batch_result_as_json(producer: Producer, way: str) -> None:
    """As its first argument: JSON, not text that holds JSON."""
    template = templates.published(producer, "Hello {{ name }}", type="sms")
    queue = f"delivery-{uuid.uuid4().hex}"
    items = [{"key": name, "variables": {"name": name}} for name in ("Ada", "Zoë")]
    message = {"template_id": template, "items": [*items, {"key": "none"}]}
    deliver = producer.app.signature("delivery.send", queue=queue)
    if way == "link":
        answer = producer.call("render.batch", message, queue=QUEUE, link=deliver)
    else:
        render = producer.app.signature("render.batch", kwargs=message, queue=QUEUE)
        task_id = str(uuid.uuid4())
        (render.set(task_id=task_id) | deliver).apply_async()
        answer = producer.answer(task_id)
    with producer.app.connection_for_read() as connection:
        received = connection.SimpleQueue(queue).get(timeout=10)
        received.ack()
    (argument,), _, _ = received.payload
    assert received.headers["task"] == "delivery.send"
    assert argument == answer
    assert [item.get("body") for item in argument["items"]] == ["Hello Ada", "Hello Zoë", None]


class TestSizeOfAMessage:
    """4 MiB for batches, 1 MiB for all others."""

    def test_a_batch_of_4_mib_passes(self, producer: Producer, stack: LocalStack) -> None:
        """To the byte; and is rendered whole."""
        template = templates.published(producer, "{{ x|length }}", type="sms", variables=["x"])
        body = padded_batch(BATCH_BYTES, template)
        answer = sent(producer, stack, "render.batch", body)
        assert (answer["rendered"], answer["failed"]) == (21, 0)
        lengths = [int(item["body"]) for item in answer["items"]]
        assert lengths[:-1] == [200_000] * 20
        assert sum(lengths) < BATCH_BYTES < sum(lengths) + 2_000

    def test_a_batch_over_4_mib_is_refused(self, producer: Producer, stack: LocalStack) -> None:
        """The error has limit and size."""
        template = templates.published(producer, "{{ x|length }}", type="sms", variables=["x"])
        with pytest.raises(RefusedError) as refused:
            sent(producer, stack, "render.batch", padded_batch(BATCH_BYTES + 1, template))
        assert (refused.value.code, refused.value.paths) == ("too_large", {""})
        message = "the message is 4194305 bytes, the limit is 4194304"
        assert refused.value.details[0]["message"] == message

    @pytest.mark.parametrize("task", ["render.one", "render.preview", "version.publish"])
    def test_other_messages_are_limited_to_1_mib(
        self, producer: Producer, stack: LocalStack, task: str
    ) -> None:
        """At the limit a message is looked at, and above it is not."""
        keywords: dict[str, Any] = {"variables": {"x": ""}}
        at_the_limit = padded(MESSAGE_BYTES, keywords, keywords["variables"])
        above = padded(MESSAGE_BYTES + 1, keywords, keywords["variables"])
        with pytest.raises(RefusedError) as refused:
            sent(producer, stack, task, at_the_limit)
        assert refused.value.code == "invalid_message"
        assert "body" in refused.value.paths or "template_id" in refused.value.paths
        with pytest.raises(RefusedError) as refused:
            sent(producer, stack, task, above)
        assert (refused.value.code, refused.value.paths) == ("too_large", {""})
        message = "the message is 1048577 bytes, the limit is 1048576"
        assert refused.value.details[0]["message"] == message


def test_an_item_over_a_limit_costs_one_item_and_no_worker(
    producer: Producer, stack: LocalStack
) -> None:
    """The other items are right, and the message is worked on once."""
    template = templates.published(
        producer,
        "{{ x|length }}{% for a in range(n) %}{% for b in range(n) %}{{ x|upper|length }}"
        "{% endfor %}{% endfor %}",
        type="sms",
        variables=["x", {"name": "n", "type": "integer", "default": 0}],
    )
    items = [{"key": number, "variables": {"x": "a" * number}} for number in range(300)]
    items[123]["variables"] = {"x": "ab" * 100_000, "n": 10_000}
    task_id = producer.send("render.batch", {"template_id": template, "items": items}, queue=QUEUE)
    answer = producer.answer(task_id)
    assert (answer["rendered"], answer["failed"]) == (299, 1)
    bad = answer["items"].pop(123)
    assert (bad["key"], bad["error"]["code"]) == (123, "render_limit_exceeded")
    assert [item["body"] for item in answer["items"]] == [str(n) for n in range(300) if n != 123]
    assert wait_until(lambda: f"[{task_id}] succeeded" in logs(stack), 20)
    assert logs(stack).count(f"[{task_id}] succeeded") == 1
    assert "WorkerLost" not in logs(stack)


def test_logs_show_numbers_and_no_values(producer: Producer, stack: LocalStack) -> None:
    """Neither of what is sent, nor of what is rendered or refused."""
    secret = f"secret-{uuid.uuid4().hex}"
    template = templates.published(
        producer,
        "{{ x }}{% for a in range(n) %}{{ x|upper }}{% endfor %}",
        variables=["x", {"name": "n", "type": "integer", "default": 0}],
    )
    values: list[Any] = [{"x": secret}, {"x": [secret], "n": secret}, {"x": secret, "n": 10**6}]
    items: list[Any] = [
        {"key": f"{secret}-{number}", "variables": value} for number, value in enumerate(values)
    ]
    items += [secret, {"key": [secret]}, {"key": 1, "language": secret}]
    message = {"template_id": template, "items": items, "variables": {"y": secret}}
    task_id = producer.send("render.batch", message, queue=QUEUE)
    answer = producer.answer(task_id)
    assert (answer["rendered"], answer["failed"]) == (1, 5)
    shown = f"<template_id={template} type=email version=1 rendered=1 failed=5>"
    assert wait_until(lambda: shown in logs(stack), 20)
    assert secret not in logs(stack)
