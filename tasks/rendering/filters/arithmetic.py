"""Arithmetic of values by a template: exact, and never silently of texts.

The engine multiplies the text ``"12.50"`` to ``"12.5012.50"``, adds two to ``"12.508"``, divides
whole numbers as floats and calculates with no decimal. Here a number is calculated with as it was
written, and a text that looks like one is refused.
"""

import math
import re
import sys
from collections.abc import Callable
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any, Final

from minijinja import TemplateError

from tasks.rendering.filters.guards import MissingError, engine, lacks
from tasks.rendering.locale_filters import InputError
from tasks.rendering.numbers import Exact, whole
from tasks.rendering.samples import Anything
from tasks.rendering.values import Null

NUMBER: Final = re.compile(r"\s*[-+]?\d+(?:[.,]\d+)?\s*")
TEXT: Final = (
    "a text cannot be calculated with: declare the variable as 'decimal', or convert the text with "
    "the filter int or float; to join texts write ~"
)
"""What is wrong with arithmetic of texts."""

MOST_DIGITS: Final = 60
"""Of a number that a template calculates with."""

_TOO_LARGE: Final = f"the result has more than {MOST_DIGITS} digits"
_ZERO: Final = "a division by zero: ask first, as in {% if count %}"
_LARGEST: Final = 10**MOST_DIGITS
# More digits than two numbers of this many have in a product.
_EXACT: Final = Context(prec=4 * MOST_DIGITS)
_QUOTIENT: Final = Context(prec=34)
"""Digits of a quotient, as in a decimal128 (IEEE 754)."""
_LARGEST_FLOAT: Final = 2**53
"""Largest number up to which floats represent all whole numbers."""

Number = int | float | Exact


def calculator() -> Callable[..., Any]:
    """Return what an operator does: ``calculated(1, "+", 2)``; the engine is asked about others."""
    evaluate = engine(escapes=False).eval_expr

    def calculated(left: Any = None, sign: str = "", right: Any = None) -> Any:  # noqa: ANN401 - any value of a template
        if lacks(left) or lacks(right) or isinstance(left, Null) or isinstance(right, Null):
            raise MissingError("a value is missing")
        if isinstance(left, Anything) or isinstance(right, Anything):
            return Anything()
        if is_number(left) and is_number(right):
            return _of_numbers(left, sign, right)
        _refuse_texts(left, sign, right)
        try:
            return evaluate(f"left {sign} right", left=left, right=right)
        except TemplateError:
            kinds = f"{kind_name(left)} and {kind_name(right)}"
            raise InputError(f"{sign} is for numbers, not for {kinds}") from None

    return calculated


def _refuse_texts(left: object, sign: str, right: object) -> None:
    texts = [value for value in (left, right) if isinstance(value, str)]
    if not texts:
        return
    are_numbers = all(map(NUMBER.fullmatch, texts))
    # A line of hyphens is a text times a number, and texts may be joined by + as in Jinja2.
    is_of_texts = sign == "*" or (sign == "+" and len(texts) > 1)
    if are_numbers or not is_of_texts:
        raise InputError(TEXT)


def _of_numbers(left: Number, sign: str, right: Number) -> Number:
    one, other = _bare(left), _bare(right)
    if isinstance(one, int) and isinstance(other, int):
        return _of_integers(one, sign, other)
    result = _of_decimals(_decimal(one), sign, _decimal(other))
    if abs(result) >= _LARGEST:
        raise InputError(_TOO_LARGE)
    if isinstance(one, str) or isinstance(other, str):
        return _exact(result)  # with the zeros of a price
    number = float(result)
    if sign == "/":
        return number
    if Decimal(repr(number)) != result:
        return _exact(result)
    # Of more digits the engine may print another last one.
    return number if len(result.as_tuple().digits) <= sys.float_info.dig else Exact(number)


def _of_integers(  # noqa: PLR0911 - one for each operator
    left: int, sign: str, right: int
) -> Number:
    match sign:
        case "+":
            return _bounded(left + right)
        case "-":
            return _bounded(left - right)
        case "*":
            return _bounded(left * right)
        case "**" if right >= 0:
            if right * math.log10(max(2, abs(left))) > MOST_DIGITS and abs(left) > 1:
                raise InputError(_TOO_LARGE)
            return _bounded(left**right)
    if sign != "**" and not right:
        raise InputError(_ZERO)
    if sign in {"//", "%"}:
        # As in the engine, what is left is never negative.
        rest = left % abs(right)
        return whole((left - rest) // right) if sign == "//" else whole(rest)
    if max(abs(left), abs(right)) <= _LARGEST_FLOAT:
        return left / right if sign == "/" else _power(left, right)
    quotient = _of_decimals(Decimal(left), sign, Decimal(right))
    return whole(int(quotient)) if quotient == quotient.to_integral_value() else _exact(quotient)


def _of_decimals(left: Decimal, sign: str, right: Decimal) -> Decimal:
    if sign in {"/", "//", "%"} and not right:
        raise InputError(_ZERO)
    try:
        match sign:
            case "+":
                return _EXACT.add(left, right)
            case "-":
                return _EXACT.subtract(left, right)
            case "*":
                return _EXACT.multiply(left, right)
            case "/":
                return _QUOTIENT.divide(left, right)
            case "**":
                return _decimal_power(left, right)
        rest = _EXACT.remainder(left, right)
        rest += abs(right) if rest < 0 else 0
        return rest if sign == "%" else _EXACT.divide_int(_EXACT.subtract(left, rest), right)
    except (InvalidOperation, OverflowError):
        raise InputError(_TOO_LARGE) from None


def _decimal_power(left: Decimal, right: Decimal) -> Decimal:
    if right != right.to_integral_value() or not 0 <= right <= MOST_DIGITS:
        return Decimal(repr(_power(float(left), float(right))))
    context = _EXACT.copy()
    context.clear_flags()
    result = context.power(left, right)
    is_exact = not context.flags[Inexact] and len(result.as_tuple().digits) <= MOST_DIGITS
    if is_exact or result == result.to_integral_value():
        return result
    # Digits after the decimal point may be rounded, digits before it may not.
    if result.adjusted() >= _QUOTIENT.prec:
        raise InputError(_TOO_LARGE)
    return _QUOTIENT.plus(result)


def _power(left: float, right: float) -> float:
    try:
        result: float = left**right
    except ZeroDivisionError:
        raise InputError(_ZERO) from None
    except OverflowError:
        raise InputError(_TOO_LARGE) from None
    if isinstance(result, complex):
        raise InputError("a root of a negative number")
    return result


def _bounded(number: int) -> int | Exact:
    if abs(number) >= _LARGEST:
        raise InputError(_TOO_LARGE)
    return whole(number)


def _exact(number: Decimal) -> Exact:
    text = f"{number:f}"
    if len(text) > 2 * MOST_DIGITS:
        raise InputError(_TOO_LARGE)
    return Exact(text)


def _bare(value: Number) -> str | float:
    return value.given if isinstance(value, Exact) else value


def _decimal(value: str | float) -> Decimal:
    return Exact(value).number


def is_number(value: object) -> bool:
    """Return whether a value is a number, which a boolean is not."""
    return isinstance(value, int | float | Exact) and not isinstance(value, bool)


def kind_name(value: object) -> str:
    """Return the kind of a value with its article, such as ``a number``."""
    for kind, name in (
        (bool, "a boolean"),
        (str, "a text"),
        (dict, "an object"),
        (list | tuple, "an array"),
    ):
        if isinstance(value, kind):
            return name
    return "a number" if is_number(value) else "a value"
