"""Replacement of message properties that py-amqp cannot decode, or that JSON cannot represent.

RabbitMQ checks the format of properties, but not their content: invalid UTF-8 in text and names,
times after the year 9999, tables thousands of levels deep. Decoding them raises in the function
that reads the connection, which stops the worker; the broker then delivers the message to the next
worker.
"""

import base64
import struct
from collections.abc import Callable
from typing import Any, Final

from amqp.exceptions import FrameSyntaxError
from amqp.method_framing import frame_handler
from amqp.serialization import decode_properties_basic, dumps

UNDECODABLE: Final = "x-undecodable-properties"
"""Header that replaces all properties of such a message; it contains them in base64."""

DEEPEST: Final = 20
"""Maximum levels of tables and lists in properties; Celery's have two."""

_Frame = tuple[int, int, Any]
_HEADER: Final = 2  # type of AMQP's content header frame: body size and properties
_FIXED: Final = 12  # bytes of that frame before the properties: class, weight, body size
_HEADERS_FLAG: Final = 1 << 13
_ERRORS: Final = (
    ValueError,  # UnicodeDecodeError is one
    ArithmeticError,
    OSError,
    LookupError,
    RecursionError,
    struct.error,
    FrameSyntaxError,
)


def tolerant_frame_handler(connection: Any, callback: Any) -> Callable[[_Frame], Any]:  # noqa: ANN401 - py-amqp ships no types
    """Return py-amqp's frame handler, with undecodable properties replaced."""
    handle = frame_handler(connection, callback)

    def on_frame(frame: _Frame) -> Any:  # noqa: ANN401 - py-amqp ships no types
        kind, channel, payload = frame
        if kind == _HEADER and not _is_usable(payload):
            payload = _replaced(bytes(payload))
        return handle((kind, channel, payload))

    return on_frame


def _is_usable(payload: Any) -> bool:  # noqa: ANN401 - py-amqp ships no types
    try:
        properties, _ = decode_properties_basic(payload, _FIXED)
    except _ERRORS:
        return False
    return _is_plain(properties, DEEPEST)


def _is_plain(value: object, levels: int) -> bool:
    match value:
        case str():
            return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)
        case dict():
            return levels > 0 and all(
                isinstance(name, str) and _is_plain(name, levels) and _is_plain(item, levels - 1)
                for name, item in value.items()
            )
        case list():
            return levels > 0 and all(_is_plain(item, levels - 1) for item in value)
        case _:
            return True


def _replaced(payload: bytes) -> bytes:
    kept = {UNDECODABLE: base64.b64encode(payload[_FIXED:]).decode()}
    flags: bytes = struct.pack(">H", _HEADERS_FLAG)
    table: bytes = dumps("F", [kept])
    return payload[:_FIXED] + flags + table
