"""The service on RabbitMQ: classic queues, quorum queues, and those that an operator declared."""

import base64
import json
import struct
import uuid
from collections.abc import Callable
from typing import Any

import amqp
import pytest
from celery import Celery
from kombu import Connection

from db.cluster.processes import Process, wait_until
from tests.brokers.conftest import STOCK, TIMEOUT, Broker, letters, run_producer
from tests.factories import templates
from tests.support.producer import Producer, RefusedError
from worker.dead_letters.queue import opened
from worker.queues import QueueName

RECIPIENT = "Ada Lovelace"
FLAGS = {"content_type": 1 << 15, "headers": 1 << 13, "correlation_id": 1 << 10}


class Raw(amqp.Message):  # type: ignore[misc]  # py-amqp ships no types
    """A message whose properties are written by hand."""

    def __init__(self, body: bytes, flags: int, properties: bytes) -> None:
        super().__init__(body)
        self._raw = struct.pack(">H", flags) + properties

    def _serialize_properties(self) -> bytes:
        return self._raw


def test_the_main_job_works_on_rabbitmq(producer: Producer) -> None:
    """A message of each queue is answered."""
    template = templates.published(producer, "Dear {{ name }}", type="sms")
    one = {"template_id": template}
    assert producer.call("render.one", one | {"variables": {"name": "Ada"}})["body"] == "Dear Ada"
    items = [{"key": name, "variables": {"name": name}} for name in ("Ada", "Grace")]
    batch = producer.call("render.batch", one | {"items": items}, queue="render-bulk")
    assert [item["body"] for item in batch["items"]] == ["Dear Ada", "Dear Grace"]
    assert producer.call("maintenance.analyze")["tables"]
    with pytest.raises(RefusedError) as refused:
        producer.call("render.one", {"template_id": "no-such"})
    assert refused.value.code == "template_not_found"


def test_a_link_reaches_another_services_queue(broker: Broker, producer: Producer) -> None:
    """A pool process declares the queue and publishes to it, with a confirmation."""
    template = templates.published(producer, "Hello", type="sms")
    queue = f"celery-delivery-{uuid.uuid4().hex}"
    link = producer.app.signature("delivery.send", queue=queue)
    producer.call("render.one", {"template_id": template}, link=link)
    with broker.connection() as connection, connection.SimpleQueue(queue) as messages:
        message = messages.get(timeout=TIMEOUT)
        message.ack()
        assert message.headers["task"] == "delivery.send"


def test_messages_that_wait_for_their_eta_block_no_others(
    broker: Broker, producer: Producer
) -> None:
    """Far more of them than a worker prefetches; a quorum queue takes none back as a failure."""
    template = templates.published(producer, "Hello", type="sms")
    message = {"template_id": template}
    late = [producer.send("render.one", message, countdown=3600 / 4) for _ in range(150)]
    soon = [producer.send("render.one", message, countdown=2) for _ in range(20)]
    assert producer.call("render.one", message)["body"] == "Hello"
    assert [producer.answer(each)["body"] for each in soon] == ["Hello"] * len(soon)
    assert producer.backend.exists(*[f"celery-task-meta-{each}" for each in late]) == 0
    assert broker.waiting("dead-letters") == 0
    producer.app.control.revoke(late)


def test_the_backlog_of_every_queue_is_reported(producer: Producer) -> None:
    """Messages that workers hold are null here; RabbitMQ's own monitoring shows them."""
    queues = producer.call("maintenance.report")["queues"]
    assert set(queues) == {queue.value for queue in QueueName}
    assert {figures["reserved"] for figures in queues.values()} == {None}


def _plain(body: bytes, **properties: Any) -> amqp.Message:  # noqa: ANN401 - AMQP's properties
    return amqp.Message(body, **properties)


def _with_headers(headers: dict[str, Any], body: bytes = b"[[], {}, {}]") -> amqp.Message:
    properties = {"content_type": "application/json", "content_encoding": "utf-8"}
    return amqp.Message(body, application_headers=headers, **properties)


def _with_raw_header(value: bytes) -> Raw:
    """Return a message whose header ``x`` has a value that is written by hand."""
    table = b"\x01x" + value
    return Raw(b"[[], {}, {}]", FLAGS["headers"], struct.pack(">I", len(table)) + table)


def _nested(levels: int) -> bytes:
    value = b"V"
    for _ in range(levels):
        value = b"A" + struct.pack(">I", len(value)) + value
    return value


TASK = {"task": "render.one", "id": "an-id"}
BAD: list[Any] = [
    pytest.param(lambda: _plain(b"hello"), id="no properties"),
    pytest.param(lambda: _plain(b""), id="nothing at all"),
    pytest.param(lambda: _plain(b"[[], {}, {}]", content_type="application/json"), id="no headers"),
    pytest.param(lambda: _with_headers(TASK, b"not JSON"), id="a body that is not JSON"),
    pytest.param(lambda: _with_headers(TASK, b"\xff\xfe\x00"), id="a body that is not UTF-8"),
    pytest.param(
        lambda: amqp.Message(b"[[], {}, {}]", content_type="text/xml", application_headers=TASK),
        id="another content type",
    ),
    pytest.param(
        lambda: amqp.Message(
            "[[], {}, {}]".encode("utf-16"),
            content_type="application/json",
            content_encoding="utf-16",
            application_headers=TASK,
        ),
        id="another encoding",
    ),
    pytest.param(lambda: _with_headers(TASK | {"compression": "gzip"}), id="compressed"),
    pytest.param(lambda: _with_headers({"task": "no.such", "id": "an-id"}), id="unknown task"),
    pytest.param(lambda: _with_headers({"task": 5, "id": ["x"]}), id="headers of other types"),
    pytest.param(
        lambda: _with_raw_header(b"T" + struct.pack(">Q", 1_700_000_000_000)),
        id="a time in milliseconds",
    ),
    pytest.param(
        lambda: _with_raw_header(b"T" + struct.pack(">Q", 1_700_000_000)), id="a time as a header"
    ),
    pytest.param(
        lambda: _with_raw_header(b"x" + struct.pack(">I", 2) + b"\xff\x00"), id="bytes as a header"
    ),
    pytest.param(
        lambda: _with_raw_header(b"D\xff" + struct.pack(">i", 1)), id="a decimal as a header"
    ),
    pytest.param(lambda: _with_raw_header(_nested(5000)), id="a header of 5,000 levels"),
    pytest.param(lambda: _with_raw_header(_nested(500)), id="a header of 500 levels"),
    pytest.param(
        lambda: _with_raw_header(b"S" + struct.pack(">I", 3) + b"\xed\xa0\x80"),
        id="half a character of UTF-16 as a header",
    ),
    pytest.param(
        lambda: Raw(b"", FLAGS["headers"], struct.pack(">I", 4) + b"\x02\xff\xfeV"),
        id="a header's name that is not UTF-8",
    ),
    pytest.param(
        lambda: Raw(b"x", FLAGS["correlation_id"], b"\x02\xff\xfe"), id="an id that is not UTF-8"
    ),
    pytest.param(
        lambda: Raw(b"x", FLAGS["content_type"], b"\x02\xff\xfe"),
        id="a content type that is not UTF-8",
    ),
]


@pytest.mark.parametrize("make", BAD)
def test_a_malformed_message_is_a_dead_letter_byte_for_byte(
    broker: Broker, producer: Producer, worker: Process, make: Callable[[], amqp.Message]
) -> None:
    """And the worker goes on: what is sent after it is answered by the same process."""
    process = worker.pid
    message = make()
    with broker.connection() as connection:
        connection.default_channel.basic_publish(message, routing_key="render")
    with pytest.raises(RefusedError) as refused:
        producer.call("render.one", {"template_id": "no-such"})
    assert refused.value.code == "template_not_found"
    assert worker.pid == process
    assert wait_until(lambda: broker.waiting("dead-letters") == 1, TIMEOUT)
    (letter,) = letters(broker)
    assert letter["queue"] == "render"
    (kept,) = broker.take("dead-letters", no_ack=True)
    stored = json.loads(kept.body)
    sent = message.body if isinstance(message.body, bytes) else message.body.encode()
    assert base64.b64decode(stored["body"]) == sent


def test_a_large_message_is_a_dead_letter_that_the_broker_accepts(
    broker: Broker, producer: Producer
) -> None:
    """In base64 it would be larger than what RabbitMQ takes, and hold up the letters after it."""
    body = b"\xff" * (100 * 1024 * 1024)
    headers: list[dict[str, Any]] = [{"x": "x"}, {"x": "x" * 90_000}]
    for own in headers:
        with broker.connection() as connection:
            large = _with_headers(TASK | own, body)
            connection.default_channel.basic_publish(large, routing_key="render")
        assert wait_until(lambda: broker.waiting("dead-letters") == 1, TIMEOUT)
        (letter,) = letters(broker)
        assert letter["reason"].startswith("too_large")
        assert broker.works("dead-letters", "replay", letter["letter"], "--yes").startswith("Repl")
        assert wait_until(lambda: broker.waiting("dead-letters") == 1, TIMEOUT)
        with Connection(broker.url) as connection, opened(connection) as queue:
            (kept,) = queue.oldest_first()
            assert kept.body == body
            assert kept.headers == TASK | own
            queue.remove([kept])
    producer.send("no.such.task", queue="render")
    assert wait_until(lambda: broker.waiting("dead-letters") == 1, TIMEOUT)
    broker.take("dead-letters", no_ack=True)


def test_dead_letters_are_listed_shown_replayed_and_discarded(
    broker: Broker, producer: Producer
) -> None:
    """However often they are looked at: a quorum queue drops what came back too often."""
    sent = [producer.send("no.such.task", {"name": RECIPIENT}, queue="render") for _ in range(3)]
    assert wait_until(lambda: broker.waiting("dead-letters") == len(sent), TIMEOUT)
    for _ in range(12):
        assert {letter["id"] for letter in letters(broker)} == {*sent}
    first = letters(broker)[0]
    shown = json.loads(broker.works("dead-letters", "show", first["letter"], "--body", "--json"))
    assert shown["reason"].startswith("unknown_task")
    assert RECIPIENT in shown["body"]
    assert broker.works("dead-letters", "replay", first["letter"], "--yes") == (
        "Replayed 1 dead letter.\n"
    )
    # It is refused again, and so comes back as another letter.
    assert wait_until(
        lambda: len({letter["id"] for letter in letters(broker)}) == len(sent), TIMEOUT
    )
    assert first["letter"] not in {letter["letter"] for letter in letters(broker)}
    assert broker.works("dead-letters", "discard", "--all", "--yes") == "Deleted 3 dead letters.\n"
    assert letters(broker) == []


def test_the_documented_producer_works_on_every_queue_type(
    broker: Broker, worker: Process, documented: tuple[str, str]
) -> None:
    """On queues of every type."""
    source, output = documented
    done = run_producer(source, broker)
    assert (done.returncode, done.stdout) == (0, output), done.stderr


@pytest.mark.parametrize("broker", ["classic"], indirect=True)
def test_an_unconfigured_celery_producer_works_on_classic_queues(
    broker: Broker, producer: Producer
) -> None:
    """It declares a queue before it sends; what a worker has created is the same."""
    with Celery(set_as_current=False) as app:
        options = {"confirm_publish": True, "client_properties": {"of": "celery as it comes"}}
        app.conf.update(
            broker_read_url=broker.url,
            broker_write_url=broker.url,
            broker_transport=STOCK,
            broker_transport_options=options,
        )
        task_id = str(uuid.uuid4())
        app.send_task("maintenance.analyze", queue="maintenance", task_id=task_id)
        assert producer.stored(task_id)["status"] == "SUCCESS"
        app.pool.force_close_all()


def test_a_minimal_amqp_message_is_answered(broker: Broker, producer: Producer) -> None:
    """The properties that docs/messages.md lists, and a body of JSON."""
    task_id = str(uuid.uuid4())
    message = amqp.Message(
        '[[], {"template_id": "no-such"}, {}]',
        content_type="application/json",
        content_encoding="utf-8",
        delivery_mode=2,
        correlation_id=task_id,
        application_headers={"task": "render.one", "id": task_id},
    )
    with broker.connection() as connection:
        connection.default_channel.basic_publish(message, routing_key="render", mandatory=True)
    assert producer.stored(task_id)["result"]["exc_type"] == "TemplateNotFound"
