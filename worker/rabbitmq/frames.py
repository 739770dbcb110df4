"""Message properties that py-amqp cannot decode.

RabbitMQ checks the form of properties and not their content: text that is no UTF-8, times beyond
the year 9999, tables thousands of levels deep. Decoding them raises in the function that reads the
connection, which ends the worker; the broker delivers the message again, to the next one.
"""

import base64
import struct
from collections.abc import Callable
from typing import Any, Final

from amqp.exceptions import FrameSyntaxError
from amqp.method_framing import frame_handler
from amqp.serialization import decode_properties_basic, dumps

UNDECODABLE: Final = "x-undecodable-properties"
"""Header that holds the properties of such a message as base64, in place of all of them."""

_Frame = tuple[int, int, Any]
_HEADER: Final = 2  # type of the frame that has a message's size and properties
_FIXED: Final = 12  # bytes of it before the properties: class, weight, size of the body
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
    """Return py-amqp's frame handler, which passes such a message on without its properties."""
    handle = frame_handler(connection, callback)

    def on_frame(frame: _Frame) -> Any:  # noqa: ANN401 - py-amqp ships no types
        try:
            return handle(frame)
        except _ERRORS:
            kind, channel, payload = frame
            # What a message's own handler raised has come this way too.
            if kind != _HEADER or _is_decodable(payload):
                raise
        return handle((kind, channel, _replaced(bytes(payload))))

    return on_frame


def _is_decodable(payload: Any) -> bool:  # noqa: ANN401 - py-amqp ships no types
    try:
        decode_properties_basic(payload, _FIXED)
    except _ERRORS:
        return False
    return True


def _replaced(payload: bytes) -> bytes:
    kept = {UNDECODABLE: base64.b64encode(payload[_FIXED:]).decode()}
    flags: bytes = struct.pack(">H", _HEADERS_FLAG)
    table: bytes = dumps("F", [kept])
    return payload[:_FIXED] + flags + table
