"""Sizes of files in words (CLDR, units of digital information)."""

from decimal import Decimal
from typing import Final

from tasks.rendering.locale_filters.errors import ArgumentError
from tasks.rendering.locale_filters.gsm import plain
from tasks.rendering.locale_filters.locales import locale_of
from tasks.rendering.locale_filters.numbers import EXACT, as_decimal, formatted, number_style
from tasks.rendering.locale_filters.plurals import category

_DECIMAL: Final = ("byte", "kilobyte", "megabyte", "gigabyte", "terabyte", "petabyte")
_BINARY: Final = ("byte", "KiB", "MiB", "GiB", "TiB", "PiB")


def filesizeformat(language: str, value: object, /, binary: object = False) -> str:  # noqa: FBT002 - templates give it by place
    """Return a number of bytes in the unit that fits it, such as ``1,5 MB`` or ``1,5 Mo``.

    Parameters
    ----------
    value
        A number of :func:`tasks.rendering.locale_filters.numbers.number`.
    binary
        Whether a unit is 1024 of the one before it, such as ``1.5 MiB``, and not 1000. These have
        the same names in every language.
    """
    if not isinstance(binary, bool):
        raise ArgumentError("expected true or false for binary")
    size = as_decimal(value)
    step, units = (1024, _BINARY) if binary else (1000, _DECIMAL)
    index, digits = 0, 0
    # What rounds to a thousand of a unit is one of the next.
    while index < len(units) - 1 and abs(_rounded(size, digits)) >= step:
        size = EXACT.divide(size, step)
        index, digits = index + 1, 1
    shown = _rounded(size, digits)
    number = formatted(shown, number_style(language, digits))
    if binary and index:
        return plain(language, f"{number}\u00a0{units[index]}")
    patterns = locale_of(language)._data["unit_patterns"][f"digital-{units[index]}"]  # noqa: SLF001 - there is no public way
    # Bytes are counted in words; a language that has none for them has a short form.
    names = (not index and patterns.get("long")) or patterns.get("short", {})
    pattern = names.get(category(language, shown), names.get("other", f"{{0}} {units[index]}"))
    return plain(language, str(pattern)).replace("{0}", number)


def _rounded(size: Decimal, digits: int) -> Decimal:
    return EXACT.add(size.quantize(Decimal(1).scaleb(-digits), context=EXACT), 0)
