"""Messages between the worker and its render process.

A message is the length in bytes of what follows, four bytes, big-endian, and its parts, each with
its own length before it. A request's first part is JSON that says what is asked; of renders, the
texts follow and then the values of one render each, all as JSON. An answer has a part for each
render, or a single one.
"""

import json
import struct
from collections.abc import Iterable
from typing import Any, BinaryIO, Final

import orjson

HEADER: Final = struct.Struct(">I")
LONGEST_INTEGER: Final = 18
"""Digits of a whole number that surely fits 64 bits."""

_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER: Final = b"0" * (LONGEST_INTEGER + 1)
_LONG_DECIMAL: Final = b"0" * 16 + b"."  # 2**53, beyond which floats are rounded, has 16 digits


def pack(parts: Iterable[bytes]) -> bytes:
    """Return a message of ``parts``."""
    pieces = [piece for part in parts for piece in (HEADER.pack(len(part)), part)]
    body = b"".join(pieces)
    return HEADER.pack(len(body)) + body


def unpack(body: bytes | memoryview) -> list[bytes]:
    """Return the parts of a message without its length."""
    parts = []
    position = 0
    while position < len(body):
        (size,) = HEADER.unpack_from(body, position)
        position += HEADER.size
        parts.append(bytes(body[position : position + size]))
        position += size
    return parts


def receive(stream: BinaryIO) -> list[bytes] | None:
    """Return the parts of the next message, or None at the end of the stream."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    (size,) = HEADER.unpack(header)
    return unpack(stream.read(size))


def send(stream: BinaryIO, parts: Iterable[bytes]) -> None:
    """Write one message."""
    stream.write(pack(parts))
    stream.flush()


def has_long_number(payload: bytes) -> bool:
    """Return whether JSON may hold a whole number of more digits than surely fit 64 bits.

    orjson would decode such a number as a float.
    """
    return _LONG_NUMBER in payload.translate(_DIGITS)


def has_rounded_number(payload: bytes) -> bool:
    """Return whether JSON may hold a number that orjson rounds, with a decimal point or without."""
    digits = payload.translate(_DIGITS)
    return _LONG_NUMBER in digits or _LONG_DECIMAL in digits


def encode(value: object) -> bytes:
    """Return ``value`` as JSON in UTF-8; a number that is not finite becomes null.

    Raises
    ------
    ValueError
        It holds a text that has no UTF-8 form.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        # Whole numbers beyond 64 bits, and texts with lone surrogates, which fail here too.
        return json.dumps(
            value, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()


def decode(part: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Return the JSON of a part; for values, see :func:`tasks.rendering.values.decode`."""
    if b'"document":' in part and has_long_number(part):
        return json.loads(part)
    return orjson.loads(part)
