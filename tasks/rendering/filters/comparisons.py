"""Comparisons of values by a template.

The engine orders every text after every number, and finds no text equal to one. Here that is an
error: ``{% if total > 50 %}`` is about a number, and ``"12.50"`` is a text. It orders texts by code
points, ``"Äpfel"`` after ``"Zebras"``; here they have the order of the language, as in ``sort``.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from html import unescape
from typing import Any, Final

from tasks.rendering.filters.arithmetic import NUMBER, is_number, kind_name
from tasks.rendering.filters.guards import MissingError, lacks
from tasks.rendering.locale_filters import InputError
from tasks.rendering.locale_filters.collation import has_order, sort_key
from tasks.rendering.numbers import Exact
from tasks.rendering.samples import Anything
from tasks.rendering.values import MISSING, NULL

COMPARES: Final[Mapping[str, Callable[..., bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_EQUAL: Final = frozenset({"==", "!="})
ORDERING: Final = frozenset(COMPARES) - _EQUAL
"""Signs that ask for an order."""

_DATE: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?"
)
_LIKE_A_DATE: Final = re.compile(
    r"\d{1,4}([-./])\d{1,2}\1\d{1,4}(?:\D.*)?|\d{1,2}:\d\d(?::\d\d)?(?: ?[ap]\.?m\.?)?",
    re.IGNORECASE | re.DOTALL,
)
_TIME: Final = re.compile(r"\d\d:\d\d(?::\d\d)?")
MIXED: Final = (
    "a text cannot be compared with a number: declare the variable as 'decimal', convert the text "
    "with the filter int or float, or write the number without quotes"
)
STRUCTURES: Final[Mapping[str, str]] = {
    "array": (
        "ask for its number of items, as in items | length > 2, or whether it has any by "
        "{% if items %}"
    ),
    "object": (
        "name one of its members, as in user.name, or ask whether it has any by {% if user %}"
    ),
}
"""What to write instead, where an array or object is compared or calculated with."""
_BOOLEAN_TEXT: Final = (
    "a text cannot be compared with a boolean: ask for a boolean by {% if name %}; compare a text "
    "with a text, as in name == 'true', or declare its variable as 'boolean'"
)
_BOOLEAN_NUMBER: Final = (
    "a number cannot be compared with a boolean: ask for a boolean by {% if name %}; compare a "
    "number with a number, as in name == 1, or declare its variable as 'boolean'"
)
_DATES: Final = (
    "dates and times that have no order as texts: send them as 2026-12-01, 2026-12-01T09:30:00Z or "
    "09:30"
)
_NUMERIC_TEXTS: Final = (
    "two texts that look like numbers are compared as texts: declare the variables as 'decimal', "
    "or convert them with the filter int or float"
)


def holds(first: Any, *rest: Any, language: str = "") -> bool:  # noqa: ANN401 - any value of a template
    """Return whether comparisons hold: ``holds(1, "<", 2, "<=", 3)``.

    Texts have the order of ``language``, where it is known, and dates the order of time.

    Raises
    ------
    MissingError
        A value is undefined.
    InputError
        The values cannot be compared.
    """
    left = first
    for sign, right in zip(rest[::2], rest[1::2], strict=True):
        if not _holds(left, sign, right, language):
            return False
        left = right
    return True


def refused_kinds(kinds: Iterable[str]) -> str:
    """Return the problem of comparing values of two kinds."""
    known = frozenset(kinds)
    for structure, remedy in STRUCTURES.items():
        if structure in known:
            others = " or ".join(sorted(known - {structure}))
            article = "an" if others[0] in "aeiou" else "a"
            return f"an {structure} cannot be compared with {article} {others}: {remedy}"
    if "boolean" not in known:
        return MIXED
    return _BOOLEAN_TEXT if "text" in known else _BOOLEAN_NUMBER


def refuse_mixed(values: Iterable[Any]) -> None:
    """Raise an :class:`InputError` for values that have no order: texts among numbers, say."""
    texts: list[str] = []
    kinds: set[str] = set()
    for value in values:
        if isinstance(value, str):
            texts.append(value)
        if (kind := _scalar(value)) is not None:
            kinds.add(kind)
    if len(kinds) > 1:
        raise InputError(refused_kinds(kinds))
    if len(texts) > 1 and all(map(NUMBER.fullmatch, texts)):
        by_number = sorted(texts, key=_number)
        if sorted(texts) != by_number:
            raise InputError(_NUMERIC_TEXTS)


def _holds(  # noqa: PLR0911 - one for each pair of kinds
    left: Any,  # noqa: ANN401 - any value of a template
    sign: str,
    right: Any,  # noqa: ANN401 - the same
    language: str,
) -> bool:
    if lacks(left) or lacks(right):
        sides = (left, right)
        if sign in _EQUAL and MISSING in sides and any(isinstance(each, bool) for each in sides):
            return sign == "!="  # an optional value that is left out is neither
        raise MissingError("a value is missing")
    if isinstance(left, Anything) or isinstance(right, Anything):
        return False
    if sign in {"in", "not in"}:
        return _is_in(left, right) is (sign == "in")
    if sign in _EQUAL:
        if type(left) is type(right) and isinstance(left, bool | str):
            # By far the most, in half the time.
            return (left == right or _are_one_moment(left, right)) is (sign == "==")
        _refuse_kinds(left, right)
        return _same(left, right) is (sign == "==")
    compare = COMPARES[sign]
    if isinstance(left, str) and isinstance(right, str):
        return compare(*_in_order(language, left, right))
    if is_number(left) and is_number(right):
        return compare(*_as_numbers(left, right))
    _refuse_kinds(left, right)
    try:
        return bool(compare(left, right))
    except TypeError:
        kinds = f"{_kind(left)} and {_kind(right)}"
        raise InputError(f"{kinds} have no order: compare numbers, or texts") from None


def _as_read(value: Any) -> Any:  # noqa: ANN401 - any value of a template
    """Return a value; of a piece of markup what it says, since no author writes ``A &amp; B``."""
    return unescape(str(value)) if hasattr(value, "__html__") else value


def _is_in(value: Any, container: Any) -> bool:  # noqa: ANN401 - any value of a template
    if isinstance(container, str):
        if not isinstance(value, str):
            raise InputError(
                "only a text can be in a text: convert the value with the filter string"
            )
        return _as_read(value) in _as_read(container)
    if not isinstance(container, dict | list | tuple):
        raise InputError("expected an array, an object or a text after 'in'")
    if any(_same(value, item) for item in container):
        return True
    for item in container:
        _refuse_kinds(value, item)
    return False


def _same(one: Any, other: Any) -> bool:  # noqa: ANN401 - any value of a template
    if is_number(one) and is_number(other):
        return bool(operator.eq(*_as_numbers(one, other)))
    return bool(_as_read(one) == _as_read(other)) or _are_one_moment(one, other)


def _are_one_moment(one: object, other: object) -> bool:
    """Return whether two texts are the same moment, as in two zones: ``<`` compares them so."""
    if not (isinstance(one, str) and isinstance(other, str)):
        return False
    if not (_DATE.fullmatch(one) and _DATE.fullmatch(other)):
        return False
    with suppress(ValueError):
        return _moment(one) == _moment(other)
    return False


def _refuse_kinds(left: object, right: object) -> None:
    """Refuse a text, number or boolean with one of another kind, in arrays and objects too.

    The numbers 0 and 1 are taken for booleans, which some producers write so.
    """
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        for one, other in zip(left, right, strict=False):
            _refuse_kinds(one, other)
    elif isinstance(left, dict) and isinstance(right, dict):
        for name in left.keys() & right.keys():
            _refuse_kinds(left[name], right[name])
    elif (one := _scalar(left)) and (other := _scalar(right)) and one != other:
        number = left if one == "number" else right
        if {one, other} != {"boolean", "number"} or number not in (0, 1):
            raise InputError(refused_kinds((one, other)))


def _scalar(value: object) -> str | None:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "text"
    return "number" if is_number(value) else None


def _refuse_numeric_texts(left: str, right: str) -> None:
    """Refuse to order texts that would be ordered otherwise as the numbers that they look like."""
    if not (NUMBER.fullmatch(left) and NUMBER.fullmatch(right)):
        return
    one, other = _number(left), _number(right)
    if (left < right) != (one < other) or (left > right) != (one > other):
        raise InputError(_NUMERIC_TEXTS)


def _in_order(language: str, left: str, right: str) -> tuple[Any, Any]:
    """Return what two texts are ordered by."""
    _refuse_numeric_texts(left, right)
    if _DATE.fullmatch(left) and _DATE.fullmatch(right):
        with suppress(ValueError):
            return _moment(left), _moment(right)
    elif all(map(_LIKE_A_DATE.fullmatch, (left, right))) and not (
        _TIME.fullmatch(left) and _TIME.fullmatch(right)
    ):
        raise InputError(_DATES)
    if language and has_order(language):
        return sort_key(language, left), sort_key(language, right)
    return left, right


def _moment(text: str) -> datetime:
    """Return the moment of a date, at its beginning, or of a time, in UTC unless it says."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _number(text: str) -> Decimal:
    return Decimal(text.strip().replace(",", "."))


def _as_numbers(*values: Any) -> tuple[Any, ...]:  # noqa: ANN401 - numbers
    """Return numbers that Python compares as they were written, not as they are in binary."""
    if not any(isinstance(value, Exact) for value in values):
        return values
    return tuple((value if isinstance(value, Exact) else Exact(value)).number for value in values)


def _kind(value: object) -> str:
    return "null" if value is NULL else kind_name(value)
