"""Values of Python's own types, as kombu writes them into JSON.

kombu 5.3 and newer sends a ``Decimal``, ``datetime``, ``date``, ``time``, ``UUID`` or ``bytes`` as
an object of two members, ``__type__`` and ``__value__`` (kombu/utils/json.py). Here each becomes
what a producer in any other language would send: a number, or text.
"""

import base64
import binascii
import math
import uuid
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from pydantic_core import PydanticCustomError

MARK: Final = "__type__"
_VALUE: Final = "__value__"
_LONGEST: Final = 400
"""Digits of the longest decimal; a float has no larger exponent."""


def converted(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value without kombu's marks: the value itself where it has none.

    Raises
    ------
    PydanticCustomError
        A value marked with a type is not of that type.
    """
    if isinstance(value, dict):
        if value.keys() == {MARK, _VALUE} and isinstance(value[MARK], str):
            return _plain(value)
        items = {key: converted(item) for key, item in value.items()}
        return items if any(items[key] is not item for key, item in value.items()) else value
    if isinstance(value, list):
        copies = [converted(item) for item in value]
        is_new = any(one is not other for one, other in zip(copies, value, strict=True))
        return copies if is_new else value
    return value


def _plain(marked: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    kind, value = marked[MARK], marked[_VALUE]
    convert = _BY_TYPE.get(kind)
    if convert is None:
        return marked
    try:
        return convert(value)
    except (TypeError, ValueError, LookupError, ArithmeticError):
        raise PydanticCustomError(
            "marked_value",
            "a value is marked as {kind} but is not one",
            {"kind": kind},
        ) from None


def _decimal(value: str) -> int | float | str:
    """Return a number, or text for one whose digits no JSON number of 64 bits has."""
    number = Decimal(value)
    if not number.is_finite() or abs(number.adjusted()) > _LONGEST:
        raise InvalidOperation
    if number == number.to_integral_value():
        return int(number)
    as_float = float(number)
    is_exact = math.isfinite(as_float) and Decimal(repr(as_float)) == number
    return as_float if is_exact else f"{number:f}"


def _moment(kind: type[date | time]) -> Callable[[str], str]:
    def text(value: str) -> str:
        kind.fromisoformat(value)
        return value

    return text


def _bytes(value: str) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _base64(value: str) -> str:
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error:
        raise ValueError from None
    return value


_BY_TYPE: Final[Mapping[str, Callable[[Any], Any]]] = {
    "decimal": _decimal,
    "datetime": _moment(datetime),
    "date": _moment(date),
    "time": _moment(time),
    "uuid": lambda value: str(uuid.UUID(value["hex"])),
    "bytes": _bytes,
    "base64": _base64,
}
