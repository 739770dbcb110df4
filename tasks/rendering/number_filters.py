"""The engine's filters and tests of numbers, for numbers that it cannot hold and mixed arrays."""

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Final

from tasks.rendering.comparisons import holds, refuse_mixed, refused_kinds
from tasks.rendering.guards import MissingError, guarded, lacks
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
_ORDERING: Final = ("dictsort", "max", "min", "sort", "unique")
_OF_NUMBERS: Final = ("abs", "float", "int", "round")


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
    return filters | {"sum": _summing(added, attributes)}


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
        if name == "float" and isinstance(value, int | str | Exact):
            _require_float(value)
        if not isinstance(value, Exact):
            return engine(value, *arguments, **named)
        number = value.number
        match name:
            case "abs":
                return simplified(number.copy_abs())
            case "int":
                return whole(int(number))
            case "float":
                return float(number)
        return simplified(_rounded(number, *arguments, **named))

    return call


def _require_float(value: int | str | Exact) -> None:
    """Refuse a number that a float rounds.

    Raises InputError.
    """
    try:
        number = value.number if isinstance(value, Exact) else Decimal(value)
    except InvalidOperation:
        return  # the engine says what it expected
    if number.is_finite() and Decimal(repr(float(number))) != number:
        raise InputError("float: a number of so many digits is rounded: leave the filter out")


def _summing(added: Callable[..., Any], attributes: Callable[..., Any]) -> Callable[..., Any]:
    def call(value: Any = None, attribute: Any = None, start: Any = 0) -> Any:  # noqa: ANN401 - any value of a template
        items = value
        if attribute is not None and not lacks(value):
            items = attributes(value, attribute=attribute)
        if isinstance(items, Anything) or _holds(items, Anything):
            return 1  # in a trial or preview
        if _holds(items, Exact):
            refuse_mixed(items)
            total = EXACT.create_decimal(start)
            for item in items:
                total = EXACT.add(
                    total, item.number if isinstance(item, Exact) else Exact(item).number
                )
            return simplified(total)
        return added(value, attribute, start)

    return call


def _holds(items: object, kind: type) -> bool:
    return isinstance(items, list | tuple) and any(isinstance(item, kind) for item in items)


def _rounded(number: Decimal, precision: object = 0, **named: object) -> Decimal:
    precision = named.pop("precision", precision)
    if named or not isinstance(precision, int) or not 0 <= precision <= 30:  # noqa: PLR2004 - digits of a decimal
        raise ArgumentError("round: expected a number of digits")
    # As the engine rounds, half away from zero.
    return number.quantize(Decimal(1).scaleb(-precision), rounding=ROUND_HALF_UP, context=EXACT)


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
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        if isinstance(value, list | tuple) and any(isinstance(item, Exact) for item in value):
            return _ordered(name, value, *arguments, **named)
        return engine(value, *arguments, **named)

    return call


def _ordered(name: str, value: Any, reverse: Any = False, **named: Any) -> Any:  # noqa: ANN401, FBT002 - Jinja's filter
    """Return what a filter gives of numbers that are not all the engine's."""
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
    def call(*operands: Any) -> bool:  # noqa: ANN401 - any value of a template
        if len(operands) != 2:  # noqa: PLR2004 - a comparison has two sides
            raise ArgumentError(f"{name}: expected one argument")
        try:
            return holds(operands[0], sign, operands[1])
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
