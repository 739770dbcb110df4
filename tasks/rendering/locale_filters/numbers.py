"""Numbers, percentages and amounts of money (Unicode Technical Standard 35, part 3)."""

import math
import re
import unicodedata
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from functools import lru_cache
from typing import Final

from babel import Locale
from babel.core import get_global
from babel.numbers import (
    NumberPattern,
    get_currency_precision,
    get_currency_symbol,
    get_decimal_precision,
    get_minus_sign_symbol,
    parse_pattern,
)

from tasks.rendering.locale_filters.errors import ArgumentError, InputError, refuse_missing
from tasks.rendering.locale_filters.locales import locale_of

_MAX_DIGITS: Final = 10
_MOST_VISIBLE_DIGITS: Final = 3  # as in CLDR's pattern of most languages, #,##0.###
_BOUND: Final = 10**30
_PLAIN_DECIMAL = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?")
# Room for all digits of a value, which the default of 28 has not.
EXACT: Final = Context(prec=100, rounding=ROUND_HALF_EVEN)


def currency(language: str, value: object, /, code: object, digits: object = None) -> str:
    """Return an amount of money, such as ``1.234,50 €``.

    Parameters
    ----------
    language
        Canonical BCP 47 tag.
    value
        A number of :func:`number`; text is exact, a float is what it prints as.
    code
        ISO 4217 code in capitals. A code that CLDR has no sign for stands for itself.
    digits
        Fraction digits, 0 to 10; by default those of the currency (CLDR, currencyData), such as
        2 for EUR and 0 for JPY. Half is rounded to even.

    Raises
    ------
    ArgumentError, InputError
    """
    if not isinstance(code, str) or code not in get_global("all_currencies"):
        raise ArgumentError("expected an ISO 4217 code in capitals such as 'EUR'")
    pattern = _currency_pattern(language, code, _digits(digits))
    return formatted(language, _decimal(value), pattern, code)


def number(language: str, value: object, /, digits: object = None) -> str:
    """Return a number, such as ``1.234,5``.

    Parameters
    ----------
    language
        Canonical BCP 47 tag.
    value
        A JSON number, or text such as ``"12.50"``; between -10**30 and 10**30.
    digits
        Fraction digits, 0 to 10. By default those that the value has, 3 at most: text keeps its
        zeros (``"12.50"`` shows two digits), a JSON number shows none at its end.

    Raises
    ------
    ArgumentError, InputError
    """
    fixed = _digits(digits)
    if fixed is None:
        return number_text(language, value)
    return formatted(language, _decimal(value), number_pattern(language, fixed))


def percent(language: str, value: object, /, digits: object = None) -> str:
    """Return a ratio in hundredths: 0.25 gives ``25 %``.

    Parameters
    ----------
    language
        Canonical BCP 47 tag.
    value
        A number of :func:`number`.
    digits
        Fraction digits, 0 to 10; by default those of CLDR's pattern, which are none.

    Raises
    ------
    ArgumentError, InputError
    """
    pattern = _percent_pattern(language, _digits(digits))
    return formatted(language, _decimal(value), pattern)


def _digits(digits: object) -> int | None:
    if digits is None:
        return None
    if isinstance(digits, bool) or not isinstance(digits, int) or not 0 <= digits <= _MAX_DIGITS:
        raise ArgumentError(f"expected a whole number of digits from 0 to {_MAX_DIGITS}")
    return digits


def _decimal(value: object) -> Decimal:
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


def visible(value: object) -> tuple[Decimal, int]:
    """Return a number rounded to the digits that are shown of it, and how many of a fraction."""
    exact = _decimal(value)
    if isinstance(value, str):
        digits = min(_MOST_VISIBLE_DIGITS, len(value.partition(".")[2]))
    else:
        digits = get_decimal_precision(_rounded(exact, _MOST_VISIBLE_DIGITS))
    return _rounded(exact, digits), digits


def _rounded(value: Decimal, digits: int) -> Decimal:
    # The sum has no sign where only zeros are left: -0 is no number to a reader.
    return EXACT.add(value.quantize(Decimal(1).scaleb(-digits), context=EXACT), 0)


def number_text(language: str, value: object) -> str:
    """Return a number with the fraction digits that it has, 3 at most."""
    rounded, digits = visible(value)
    return formatted(language, rounded, number_pattern(language, digits))


def formatted(
    language: str, value: Decimal, pattern: NumberPattern, code: str | None = None
) -> str:
    """Return a number in a pattern, rounded to its digits; ``code`` is that of a currency."""
    with localcontext(EXACT):
        rounded = _rounded(value, pattern.frac_prec[1] + pattern.scale)
        return str(
            pattern.apply(rounded, locale_of(language), currency=code, currency_digits=False)
        )


@lru_cache(maxsize=1024)
def number_pattern(language: str, digits: int) -> NumberPattern:
    """Return a language's pattern of numbers with so many fraction digits."""
    locale = locale_of(language)
    return _pattern(locale, locale.decimal_formats[None].pattern, digits)


@lru_cache(maxsize=1024)
def _percent_pattern(language: str, digits: int | None) -> NumberPattern:
    locale = locale_of(language)
    return _pattern(locale, locale.percent_formats[None].pattern, digits)


@lru_cache(maxsize=1024)
def _currency_pattern(language: str, code: str, digits: int | None) -> NumberPattern:
    locale = locale_of(language)
    text = locale.currency_formats["standard"].pattern
    sign = get_currency_symbol(code, locale)
    # UTS 35, part 3, "Currencies", currencySpacing, which Babel leaves out: "CHF 5", but "$5".
    if unicodedata.category(sign[-1])[0] not in "SZ":
        text = re.sub("¤(?=#)", "¤\u00a0", text)
    if unicodedata.category(sign[0])[0] not in "SZ":
        text = re.sub("(?<=0)¤", "\u00a0¤", text)
    return _pattern(locale, text, get_currency_precision(code) if digits is None else digits)


def _pattern(locale: Locale, text: str, digits: int | None) -> NumberPattern:
    """Return a pattern with as many fraction digits, or its own."""
    pattern = parse_pattern(text)
    if digits is not None:
        pattern.frac_prec = (digits, digits)
    # UTS 35, part 3, "Special Pattern Characters": both stand for the language's signs, which in
    # Arabic, say, have a mark that keeps them before the digits. Babel prints them as they are.
    signs = str.maketrans(
        {
            "-": get_minus_sign_symbol(locale),
            "%": locale.number_symbols["latn"].get("percentSign", "%"),
        }
    )
    positive, negative = pattern.prefix
    pattern.prefix = (positive.translate(signs), negative.translate(signs))
    positive, negative = pattern.suffix
    pattern.suffix = (positive.translate(signs), negative.translate(signs))
    return pattern
