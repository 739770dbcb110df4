"""Messages between worker and render process: what goes in comes out."""

import io
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.rendering.frames import HEADER, decode, encode, pack, receive, send, unpack
from tests.support.cases import each

QUICK = settings(max_examples=80, deadline=None)
PARTS = st.lists(st.binary(max_size=300), max_size=5)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # Lone surrogates have no UTF-8 form (RFC 3629, section 3).
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)


@QUICK
@given(st.lists(PARTS, max_size=4))
def test_messages_come_out_as_they_went_in(messages: list[list[bytes]]) -> None:
    """One after the other, empty parts and messages too, and then the end."""
    stream = io.BytesIO()
    for parts in messages:
        send(stream, parts)
    stream.seek(0)
    assert [receive(stream) for _ in messages] == messages
    assert receive(stream) is None


@QUICK
@given(PARTS)
def test_a_message_is_its_length_and_its_parts(parts: list[bytes]) -> None:
    """The length does not count itself; parts can be read from any kind of buffer."""
    message = pack(parts)
    assert HEADER.unpack_from(message)[0] == len(message) - HEADER.size
    body = message[HEADER.size :]
    assert unpack(body) == unpack(memoryview(body)) == parts


@QUICK
@given(PARTS, st.data())
def test_the_end_comes_at_the_end_of_a_header(parts: list[bytes], data: st.DataObject) -> None:
    """A worker that is killed leaves part of a header at most, which asks for nothing."""
    message = pack(parts)
    cut = data.draw(st.integers(0, HEADER.size - 1))
    assert receive(io.BytesIO(message[:cut])) is None


@QUICK
@given(JSON)
def test_json_comes_out_as_it_went_in(value: object) -> None:
    """In UTF-8, without spaces that nobody needs."""
    part = encode(value)
    assert json.loads(part) == value


@QUICK
@given(JSON.filter(lambda value: not has_long_number(value)))
def test_encoded_json_is_decoded_unchanged(value: object) -> None:
    """Answers have no whole number beyond 64 bits; those of values are read with them."""
    assert decode(encode(value)) == value


@each("value", ["\ud800", {"a": ["\udfff"]}, {"\ud800": 1}])
def test_text_that_utf8_cannot_encode_is_refused(value: object) -> None:
    """RFC 3629, section 3."""
    with pytest.raises(ValueError, match="surrogates"):
        encode(value)


@each("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_null(value: float) -> None:
    """JSON has none (RFC 8259, section 6); messages with such numbers are refused before."""
    assert encode([value]) == b"[null]"


def has_long_number(value: object) -> bool:
    """Tell whether JSON holds a whole number beyond 64 bits."""
    if isinstance(value, dict):
        return any(map(has_long_number, value.values()))
    if isinstance(value, list):
        return any(map(has_long_number, value))
    return isinstance(value, int) and not -(2**63) <= value < 2**64
