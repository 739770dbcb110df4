"""The engine's filters and tests of numbers, for numbers that it cannot hold and mixed arrays."""

import math
from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any, Final

from tasks.rendering.filters.arithmetic import MOST_DIGITS, TEXT, calculator, is_number
from tasks.rendering.filters.comparisons import ORDERING, holds, refuse_mixed, refused_kinds
from tasks.rendering.filters.guards import MissingError, guarded, lacks, missing_at
from tasks.rendering.locale_filters import ArgumentError, InputError
from tasks.rendering.locale_filters.numbers import EXACT
from tasks.rendering.numbers import Exact, simplified, whole
from tasks.rendering.samples import Anything
from tasks.rendering.values import Array

_COMPARING: Final[Mapping[str, str]] = {
    "==": "==",
    "eq": "==",
    "equalto": "==",
    "!=": "!=",
    "ne": "!=",
    "<": "<",
    "lt": "<",
    "lessthan": "<",
    "<=": "<=",
    "le": "<=",
    ">": ">",
    "gt": ">",
    "greaterthan": ">",
    ">=": ">=",
    "ge": ">=",
    "in": "in",
}
ORDERING_TESTS: Final = frozenset(name for name, sign in _COMPARING.items() if sign in ORDERING)
"""Tests that put texts in order, for which they need a language."""

_ORDERING: Final = ("dictsort", "max", "min", "sort", "unique")
_OF_NUMBERS: Final = ("abs", "float", "int", "round")
_ROUNDING: Final[Mapping[str, str]] = {
    "common": ROUND_HALF_EVEN,  # as the engine and the filters of a language round
    "ceil": ROUND_CEILING,
    "floor": ROUND_FLOOR,
}


def filters_of_numbers(
    evaluate: Callable[..., Any], added: Callable[..., Any]
) -> dict[str, Callable[..., Any]]:
    """Return the filters by their names; ``evaluate`` is the engine's own, ``added`` its sum."""
    engines = {
        name: guarded(evaluate, name, f"value|{name}") for name in (*_ORDERING, *_OF_NUMBERS)
    }
    filters = {name: _of_exact(name, engines[name]) for name in _OF_NUMBERS}
    attributes = guarded(evaluate, "map", "value|map")
    for name in _ORDERING:
        filters[name] = _ordering(name, engines[name], attributes)
    members = guarded(evaluate, "map", "value|map", is_strict=False)
    return filters | {"sum": _summing(added, members)}


def tests_of_numbers(tests: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """Return the tests by their names; ``tests`` are the engine's own."""
    compared = {name: _comparing(name, sign) for name, sign in _COMPARING.items()}
    kinds = ("divisibleby", "even", "float", "int", "integer", "number", "odd", "string")
    of_booleans = {name: _of_boolean(name, tests[name]) for name in ("false", "true")}
    return compared | of_booleans | {name: _of_kind(name, tests[name]) for name in kinds}


def _of_exact(name: str, engine: Callable[..., Any]) -> Callable[..., Any]:
    def call(value: Any = None, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - any value of a template
        if isinstance(value, Anything):
            return 1  # in a trial or preview
        if name in {"float", "int"} and isinstance(value, str):
            value = _read(name, value)
        if name == "float" and isinstance(value, int | str | Exact):
            _require_float(value)
        if name == "round" and isinstance(value, float) and math.isfinite(value):
            value = Exact(value)
        if not isinstance(value, Exact):
            return engine(value, *arguments, **named)
        number = value.number
        match name:
            case "abs":
                return Exact(f"{number.copy_abs():f}")  # with the zeros that it was sent with
            case "int":
                return whole(int(number))
            case "float":
                return float(number)
        return simplified(_rounded(number, *arguments, **named))

    return call


def _read(name: str, text: str) -> Exact | str:
    """Return the number that a text is, or the text, which the engine then refuses.

    The engine reads infinity and NaN, and for a number that it cannot hold the largest one.
    """
    try:
        # Python reads digits of other scripts and "1_000" too.
        number = Decimal(text if text.isascii() and "_" not in text else "")
    except InvalidOperation:
        return text
    if not number.is_finite() or number.adjusted() >= MOST_DIGITS:
        raise InputError(f"{name}: expected a number of at most {MOST_DIGITS} digits")
    return Exact(f"{number:f}")


def _require_float(value: int | str | Exact) -> None:
    """Refuse a number that a float rounds.

    Raises InputError.
    """
    try:
        number = value.number if isinstance(value, Exact) else Decimal(value)
    except InvalidOperation:
        return  # the engine says what it expected
    if number.is_finite() and Decimal(repr(float(number))) != number:
        raise InputError("float: a number with so many digits is rounded: remove the filter")


def _summing(added: Callable[..., Any], attributes: Callable[..., Any]) -> Callable[..., Any]:
    calculated = calculator()

    def call(value: Any = None, attribute: Any = None, start: Any = 0) -> Any:  # noqa: ANN401 - any value of a template
        items = value
        if attribute is not None and not lacks(value):
            items = attributes(value, attribute=attribute)
            if missing := missing_at(items):
                raise MissingError(f"sum: a value is missing{missing}")
        if isinstance(items, Anything) or _holds(items, Anything):
            return 1  # in a trial or preview
        if _holds(items, str):
            raise InputError(f"sum: {TEXT}")
        if _holds(items, Exact):
            refuse_mixed(items)
            total = EXACT.create_decimal(start)
            for item in items:
                total = EXACT.add(
                    total, item.number if isinstance(item, Exact) else Exact(item).number
                )
            return simplified(total)
        if _holds(items, float) and all(map(is_number, (start, *items))):
            for item in items:
                start = calculated(start, "+", item)
            return start
        return added(value, attribute, start)

    return call


def _holds(items: object, kind: type) -> bool:
    return isinstance(items, list | tuple) and any(isinstance(item, kind) for item in items)


def _rounded(
    number: Decimal, precision: object = 0, method: object = "common", **named: object
) -> Decimal:
    precision = named.pop("precision", precision)
    rounding = _ROUNDING.get(str(named.pop("method", method)))
    if named or rounding is None:
        raise ArgumentError("round: expected a number of digits, and 'common', 'ceil' or 'floor'")
    if not isinstance(precision, int) or not -30 <= precision <= 30:  # noqa: PLR2004 - digits of a decimal
        raise ArgumentError("round: expected a number of digits, 30 at most")
    rounded = number.quantize(Decimal(1).scaleb(-precision), rounding=rounding, context=EXACT)
    return rounded.copy_abs() if rounded.is_zero() else rounded


def _ordering(
    name: str, engine: Callable[..., Any], attributes: Callable[..., Any]
) -> Callable[..., Any]:
    def call(value: Any = None, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - any value of a template
        if lacks(value):
            raise MissingError(f"{name}: a value is missing")
        attribute = named.get("attribute")
        try:
            if name == "dictsort":
                by = arguments[0] if arguments else named.get("by", "key")
                # The names of members are texts, whatever they look like.
                # What stands for an object in a trial has no values to compare.
                has_values = by == "value" and isinstance(value, dict)
                refuse_mixed(value.values() if has_values else ())
            elif attribute is not None and name == "sort":
                refuse_mixed(attributes(value, attribute=attribute))
            elif name != "unique" and isinstance(value, list | tuple):
                refuse_mixed(value)
        except AttributeError:
            pass  # the engine says what it expected
        except MissingError:
            raise MissingError(f"{name}: a value is missing") from None
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        if isinstance(value, list | tuple) and any(isinstance(item, Exact) for item in value):
            return _ordered(name, value, *arguments, **named)
        return engine(value, *arguments, **named)

    return call


def _ordered(name: str, value: Any, reverse: Any = False, **named: Any) -> Any:  # noqa: ANN401, FBT002 - Jinja's filter
    """Return a filter's result for numbers of which some are not the engine's."""
    if name == "unique":
        return Array(dict.fromkeys(value))
    ordered = sorted(value, key=lambda item: item.number if isinstance(item, Exact) else item)
    match name:
        case "min":
            return ordered[0]
        case "max":
            return ordered[-1]
    return Array(reversed(ordered) if named.get("reverse", reverse) else ordered)


def _comparing(name: str, sign: str) -> Callable[..., bool]:
    def call(*operands: Any, language: str = "") -> bool:  # noqa: ANN401 - any value of a template
        if len(operands) != 2:  # noqa: PLR2004 - a comparison has two sides
            raise ArgumentError(f"{name}: expected one argument")
        try:
            return holds(operands[0], sign, operands[1], language=language)
        except (InputError, MissingError) as error:
            raise type(error)(f"{name}: {error}") from None

    return call


def _of_boolean(name: str, engine: Callable[..., Any]) -> Callable[..., Any]:
    def call(value: Any = None, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - any value of a template
        if isinstance(value, str):
            raise InputError(f"{name}: {refused_kinds(('boolean', 'text'))}")
        return engine(value, *arguments, **named)

    return call


def _of_kind(name: str, engine: Callable[..., Any]) -> Callable[..., Any]:
    def call(value: Any = None, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - any value of a template
        if not isinstance(value, Exact):
            return engine(value, *arguments, **named)
        number = value.number
        is_whole = number == number.to_integral_value()
        match name:
            case "number" | "string":
                return name == "number"
            case "int" | "integer" | "float":
                return is_whole is (name != "float")
            case "even" | "odd":
                return is_whole and int(number) % 2 == (name == "odd")
        if len(arguments) != 1 or not isinstance(arguments[0], int) or not arguments[0]:
            raise ArgumentError("divisibleby: expected a whole number")
        return is_whole and int(number) % arguments[0] == 0

    return call
