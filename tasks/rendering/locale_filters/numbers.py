"""Numbers, percentages and amounts of money (Unicode Technical Standard 35, part 3)."""

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from typing import Final

from babel.core import get_global
from babel.numbers import (
    get_currency_precision,
    get_currency_symbol,
    get_decimal_precision,
    parse_pattern,
)

from tasks.rendering.locale_filters.cldr import digits as digits_of
from tasks.rendering.locale_filters.cldr import extra, numbering_system
from tasks.rendering.locale_filters.errors import ArgumentError, InputError, refuse_missing
from tasks.rendering.locale_filters.gsm import plain
from tasks.rendering.locale_filters.locales import locale_of

_MAX_DIGITS: Final = 10
_MOST_VISIBLE_DIGITS: Final = 3  # as in CLDR's pattern of most languages, #,##0.###
_BOUND: Final = 10**30
_PLAIN_DECIMAL = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?")
# Room for all digits of a value, which the default of 28 has not.
EXACT: Final = Context(prec=100, rounding=ROUND_HALF_EVEN)
_ROUNDINGS: Final = {
    name: f"ROUND_{name.upper()}"
    for name in ("half_even", "half_up", "half_down", "up", "down", "ceiling", "floor")
}
"""Python's modes of rounding, which ICU has too, by the names that templates give them."""

_HALF_EVEN: Final = "half_even"


def currency(
    language: str,
    value: object,
    /,
    code: object,
    digits: object = None,
    *,
    rounding: object = _HALF_EVEN,
) -> str:
    """Return an amount of money, such as ``1.234,50 €``.

    Parameters
    ----------
    value
        A number of :func:`number`; text is exact, a float is what it prints as.
    code
        ISO 4217 code in capitals. A code that CLDR has no sign for stands for itself.
    digits
        Fraction digits, 0 to 10; by default the currency's (CLDR, currencyData), such as
        2 for EUR and 0 for JPY.
    rounding
        ``half_even`` (ICU's default: 0.125 gives 0.12), ``half_up`` (0.13, as on most invoices),
        ``half_down``, ``up``, ``down``, ``ceiling`` or ``floor``.
    """
    if not isinstance(code, str) or code not in get_global("all_currencies"):
        raise ArgumentError("expected an ISO 4217 code in capitals such as 'EUR'")
    style = _currency_style(language, code, _digits(digits))
    return formatted(as_decimal(value), style, _rounding(rounding))


def number(
    language: str, value: object, /, digits: object = None, *, rounding: object = _HALF_EVEN
) -> str:
    """Return a number, such as ``1.234,5``.

    Parameters
    ----------
    value
        A JSON number, or text such as ``"12.50"``; between -10**30 and 10**30.
    digits
        Fraction digits, 0 to 10. By default those that the value has, 3 at most: text keeps its
        zeros (``"12.50"`` shows two digits), a JSON number shows none at its end.
    rounding
        As for :func:`currency`.
    """
    fixed, mode = _digits(digits), _rounding(rounding)
    if fixed is None:
        return number_text(language, value, mode)
    return formatted(as_decimal(value), number_style(language, fixed), mode)


def percent(
    language: str, value: object, /, digits: object = None, *, rounding: object = _HALF_EVEN
) -> str:
    """Return a ratio in hundredths: 0.25 gives ``25 %``.

    Parameters
    ----------
    value
        A number of :func:`number`.
    digits
        Fraction digits, 0 to 10; by default none, as in CLDR's pattern.
    rounding
        As for :func:`currency`.
    """
    style = _percent_style(language, _digits(digits))
    return formatted(as_decimal(value), style, _rounding(rounding))


def _digits(digits: object) -> int | None:
    if digits is None:
        return None
    if isinstance(digits, bool) or not isinstance(digits, int) or not 0 <= digits <= _MAX_DIGITS:
        raise ArgumentError(f"expected a whole number of digits from 0 to {_MAX_DIGITS}")
    return digits


def _rounding(name: object) -> Context:
    if not isinstance(name, str) or name not in _ROUNDINGS:
        raise ArgumentError(f"expected one of the roundings {', '.join(_ROUNDINGS)}")
    return _context(name)


@lru_cache(maxsize=len(_ROUNDINGS))
def _context(name: str) -> Context:
    return Context(prec=EXACT.prec, rounding=_ROUNDINGS[name])


def as_decimal(value: object) -> Decimal:
    """Return a number as it is written."""
    refuse_missing(value)
    if isinstance(value, str):
        if _PLAIN_DECIMAL.fullmatch(value):
            return Decimal(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        # NaN is not less than anything.
        if abs(value) < _BOUND:
            return Decimal(repr(value) if isinstance(value, float) else value)
        if isinstance(value, int) or math.isfinite(value):
            raise InputError("expected a number between -10**30 and 10**30")
    raise InputError("expected a number, or text such as '12.50'")


def visible(value: object, mode: Context = EXACT) -> tuple[Decimal, int]:
    """Return a number rounded to the digits that are shown of it, and how many of a fraction."""
    exact = as_decimal(value)
    if isinstance(value, str):
        digits = min(_MOST_VISIBLE_DIGITS, len(value.partition(".")[2]))
    else:
        digits = get_decimal_precision(_rounded(exact, _MOST_VISIBLE_DIGITS, mode))
    return _rounded(exact, digits, mode), digits


def _rounded(value: Decimal, digits: int, mode: Context) -> Decimal:
    # The sum has no sign where only zeros are left: -0 is not a number to a reader.
    return EXACT.add(value.quantize(Decimal(1).scaleb(-digits), context=mode), 0)


def number_text(language: str, value: object, mode: Context = EXACT) -> str:
    """Return a number with the fraction digits that it has, 3 at most."""
    rounded, digits = visible(value, mode)
    return formatted(rounded, number_style(language, digits), mode)


@dataclass(frozen=True, slots=True)
class NumberStyle:
    """Number format of a language: a pattern of CLDR with the language's signs and digits.

    ``affixes`` are before and after a number: first a positive number's, then a
    negative one's. The last group of integer digits has ``primary`` digits, the groups before it
    ``secondary``; a number of fewer than ``shortest_grouped`` digits has no groups (CLDR,
    minimumGroupingDigits).
    """

    affixes: tuple[tuple[str, str], tuple[str, str]]
    decimal: str
    group: str
    primary: int
    secondary: int
    shortest_grouped: int
    fraction: int
    scale: int
    digits: Mapping[int, str]


def formatted(value: Decimal, style: NumberStyle, mode: Context = EXACT) -> str:
    """Return a number in a style, rounded to its digits."""
    rounded = _rounded(value, style.fraction + style.scale, mode).scaleb(style.scale, EXACT)
    integer, _, fraction = f"{rounded.copy_abs():f}".partition(".")
    if len(integer) >= style.shortest_grouped:
        groups = [integer[-style.primary :]]
        rest = integer[: -style.primary]
        while rest:
            groups.append(rest[-style.secondary :])
            rest = rest[: -style.secondary]
        integer = style.group.join(reversed(groups))
    number = f"{integer}{style.decimal}{fraction}" if fraction else integer
    before, behind = style.affixes[rounded < 0]
    return f"{before}{number.translate(style.digits) if style.digits else number}{behind}"


@lru_cache(maxsize=1024)
def number_style(language: str, digits: int) -> NumberStyle:
    """Return how a language writes numbers with so many fraction digits."""
    return _style(language, locale_of(language).decimal_formats[None].pattern, digits)


@lru_cache(maxsize=1024)
def _percent_style(language: str, digits: int | None) -> NumberStyle:
    pattern = extra("percent", language, locale_of(language).percent_formats[None].pattern)
    return _style(language, pattern, digits)


@lru_cache(maxsize=1024)
def _currency_style(language: str, code: str, digits: int | None) -> NumberStyle:
    locale = locale_of(language)
    text = extra("currency", language, locale.currency_formats["standard"].pattern)
    sign = get_currency_symbol(code, locale)
    # UTS 35, part 3, "Currencies", currencySpacing, which Babel leaves out: "CHF 5", but "$5".
    if unicodedata.category(sign[-1])[0] not in "SZ":
        text = re.sub("¤(?=[#0])", "¤\u00a0", text)
    if unicodedata.category(sign[0])[0] not in "SZ":
        text = re.sub("(?<=0)¤", "\u00a0¤", text)
    precision = get_currency_precision(code) if digits is None else digits
    return _style(language, text, precision, sign)


def _style(language: str, text: str, digits: int | None, sign: str | None = None) -> NumberStyle:
    """Return a pattern's style with as many fraction digits, or its own; ``sign`` of a currency."""
    pattern = parse_pattern(text)
    system = numbering_system(language)
    symbols = locale_of(language).number_symbols[system]
    # UTS 35, part 3, "Special Pattern Characters": they stand for the language's signs, which in
    # Arabic, say, have a mark that keeps them before the digits.
    signs = str.maketrans(
        {
            "-": symbols.get("minusSign", "-"),
            "%": symbols.get("percentSign", "%"),
            "¤": sign or "¤",
            "'": "",
        }
    )
    decimal, group = symbols.get("decimal", "."), symbols.get("group", ",")
    if sign is not None:
        # Such as Austria's, whose amounts have other groups than its numbers.
        decimal = symbols.get("currencyDecimal", decimal)
        group = symbols.get("currencyGroup", group)
    primary, secondary = pattern.grouping
    affixes = tuple(
        (plain(language, before.translate(signs)), plain(language, behind.translate(signs)))
        for before, behind in zip(pattern.prefix, pattern.suffix, strict=True)
    )
    return NumberStyle(
        affixes=(affixes[0], affixes[1]),
        decimal=plain(language, decimal),
        group=plain(language, group),
        primary=primary,
        secondary=secondary,
        shortest_grouped=primary + int(extra("minimum_grouping", language, 1)),
        fraction=pattern.frac_prec[1] if digits is None else digits,
        scale=pattern.scale,
        digits=digits_of(system),
    )
