"""A letter keeps a raw message byte for byte, whatever the bytes are."""

import base64
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kombu import Connection
from kombu.transport.virtual import Message

from tests.support.cases import each
from tests.support.envelopes import body_of, envelope
from worker.dead_letters import DeadLetter, document, letter_of_raw
from worker.dead_letters import queue as letter_queue

DEEP = b"[" * 100_000


def opened(entry: bytes) -> DeadLetter:
    """Return a letter as a reader of the list finds it."""
    return DeadLetter.of(letter_queue.body_of(entry))


@given(st.binary(max_size=200))
@example(DEEP)
@example(b'{"headers":' + b"[" * 900 + b"]" * 900 + b"}")
@example(b'{"headers": {"id": "\\ud800", "retries": NaN}}')
@example(b'{"body": "not base64", "properties": {"body_encoding": "base64"}}')
@example(b'{"body": {"a": 1}, "properties": [1], "headers": 1e999}')
def test_any_bytes_are_kept(raw: bytes) -> None:
    """They need not be JSON, nor UTF-8, nor of any size or depth."""
    letter = opened(letter_of_raw("malformed: x", raw, "render"))
    assert letter.raw == raw
    assert (letter.reason, letter.queue) == ("malformed: x", "render")
    assert isinstance(letter.body, bytes)
    assert isinstance(letter.headers, dict)


def test_what_can_be_read_is_shown() -> None:
    """Headers, properties and the body are those of the message."""
    task_id, made = envelope("no.such.task", body_of({"n": 1}), headers={"retries": None})
    problem: Any = {"path": "headers.retries", "type": "header", "message": "a number"}
    entry = letter_of_raw(
        "malformed: x",
        json.dumps(made).encode(),
        "render\x06\x163",
        task_id=task_id,
        problems=[problem],
    )
    letter = opened(entry)
    assert letter.headers == made["headers"]
    assert letter.body == base64.b64decode(made["body"])
    assert letter.kept["properties"] == made["properties"]
    assert letter.kept["list"] == "render\x06\x163"
    assert (letter.queue, letter.kept["task_id"]) == ("render", task_id)
    assert letter.kept["problems"] == [problem]


@each("raw", [b'{"headers": {"id": "\\ud800"}}', b'{"headers": {"n": NaN}}'])
def test_what_only_python_reads_is_shown_too(raw: bytes) -> None:
    """As kombu would have read it."""
    assert opened(letter_of_raw("malformed: x", raw, "render")).headers


def test_a_long_message_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It could take the memory of the worker's main process."""
    monkeypatch.setattr(document, "LONGEST_PARSED", 10)
    letter = opened(letter_of_raw("too_large: x", b'{"headers": {"id": "x"}}', "render"))
    assert letter.headers == {}
    assert letter.raw == b'{"headers": {"id": "x"}}'


def test_every_consumer_of_kombu_reads_a_letter() -> None:
    """The queue of dead letters holds messages like any other."""
    entry = letter_of_raw("malformed: x", b"hello", "render")
    with Connection("memory://") as connection:
        message = Message(json.loads(entry), connection.channel())
    assert message.payload["reason"] == "malformed: x"


def test_no_two_letters_are_the_same() -> None:
    """Not even of the same message: each is removed by its value."""
    made = [letter_of_raw("malformed: x", b"hello", "render") for _ in range(100)]
    assert len({opened(entry).id for entry in made}) == len(set(made)) == 100


@each(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"kept_at": "2020-01-01T00:00:00", "raw": 5, "queue": ["render"]}',
        b'{"kept_at": [1], "raw": "!", "body": {}, "headers": [], "delivery_info": 7}',
        b'{"delivery_info": {"routing_key": {}}, "task_id": {}, "headers": {"id": [1]}}',
    ],
)
def test_what_is_no_letter_can_be_looked_at(body: bytes) -> None:
    """Others may have put it there."""
    letter = DeadLetter.of(body)
    assert letter.queue is None
    assert letter.raw is None
    assert letter.task_id is None
    assert letter.body == b""
    assert letter.headers == {} or "id" in letter.headers
    assert letter.kept_at is None or letter.kept_at.tzinfo is not None
    assert letter.reason
