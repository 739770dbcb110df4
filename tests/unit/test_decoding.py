"""Bodies of messages come out as the JSON that they are."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kombu.exceptions import DecodeError
from kombu.serialization import dumps, loads

from tasks.answers import COMPACT
from worker.node.decoding import use_plain_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.fixture(autouse=True, scope="module")
def _plain_json() -> None:
    use_plain_json()


def decoded(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return a body as a worker decodes it."""
    return loads(text.encode(), "application/json", "utf-8", accept=["application/json"])


@settings(max_examples=80, deadline=None)
@given(JSON)
def test_json_comes_out_as_the_standard_library_reads_it(value: object) -> None:
    """Whole numbers of any length too."""
    text = json.dumps(value)
    assert decoded(text) == json.loads(text)


def test_an_object_stays_an_object() -> None:
    """Kombu would make a date of it."""
    marked = {"__type__": "datetime", "__value__": "2026-01-31T00:00:00"}
    assert decoded(json.dumps(marked)) == marked


def test_what_is_no_json_in_the_strict_sense_is_left_to_be_explained() -> None:
    """A lone surrogate and a number that is none reach the check that names their place."""
    assert decoded('{"a": "\\ud800", "b": NaN}')["a"] == "\ud800"


def test_what_is_no_json_at_all_is_refused() -> None:
    """As kombu refuses it, so that the consumer keeps the message."""
    with pytest.raises(DecodeError):
        decoded("{")


def test_a_decimal_that_a_float_rounds_keeps_its_digits() -> None:
    """A whole number is one, and another is a text, as for the type decimal."""
    numbers = decoded("[9007199254740993.0, 9007199254740993.5, 9007199254740992.0, -1e22, 0.1]")
    assert numbers == [9007199254740993, "9007199254740993.5", 9007199254740992.0, -1e22, 0.1]
    assert [type(each) for each in numbers] == [int, str, float, float, float]


@settings(max_examples=80, deadline=None)
@given(JSON)
def test_a_retry_is_no_larger_than_the_shortest_json_that_a_producer_could_send(
    value: object,
) -> None:
    """Or it would be over the limit of its message, after its work was done."""
    shortest = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(
        errors="surrogatepass"
    )
    content_type, encoding, body = dumps(value, serializer=COMPACT)
    assert (content_type, encoding) == ("application/json", "utf-8")
    written = body.encode() if isinstance(body, str) else body
    assert json.loads(written) == json.loads(json.dumps(value))
    assert len(written) <= len(shortest)


def test_half_a_pair_of_surrogates_is_escaped() -> None:
    """UTF-8 cannot express it."""
    _, _, body = dumps({"a": "\ud800"}, serializer=COMPACT)
    written = body.encode() if isinstance(body, str) else body
    assert json.loads(written) == {"a": "\ud800"}


def test_answers_are_written_as_before() -> None:
    """Clients and the script of the result backend know the beginning of one."""
    content_type, _, body = dumps({"status": "SUCCESS"}, serializer="json")
    assert (content_type, body) == ("application/json", '{"status": "SUCCESS"}')
