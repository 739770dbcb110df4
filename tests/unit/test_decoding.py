"""Bodies of messages come out as the JSON that they are."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kombu.exceptions import DecodeError
from kombu.serialization import loads

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
