"""Plural forms (Unicode Technical Standard 35, part 3, section "Plural rules syntax")."""

from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Final

from tasks.rendering.locale_filters.errors import ArgumentError, InputError
from tasks.rendering.locale_filters.locales import locale_of
from tasks.rendering.locale_filters.numbers import EXACT, formatted, number_pattern, visible

_PLURALS: Final = ("zero", "one", "two", "few", "many", "other")
_FORM_CHARACTERS: Final = 2000
_COUNTS: Final = range(201)
"""Whole numbers that show which categories an author has to give: those of everyday counts."""


def plural(language: str, value: object, /, **forms: object) -> str:
    """Return the form that goes with a number, ``#`` replaced by the number.

    Parameters
    ----------
    language
        Canonical BCP 47 tag.
    value
        A number of :func:`number`. Its form is that of the digits that are shown, so that "1"
        and "1.0" may have different ones (Unicode Technical Standard 35, part 3, section
        "Plural rules syntax").
    forms
        Text of at most 2000 characters for each of the categories zero, one, two, few, many and
        other that whole numbers have in the language. A category that only other numbers have
        can be left out, and ``other`` takes its place.

    Raises
    ------
    ArgumentError
        A category is unknown, or one is missing.
    InputError
        The value is no number, or needs ``other``, which the template does not give.
    """
    if not forms or not set(forms) <= set(_PLURALS):
        raise ArgumentError(f"expected forms, named by {', '.join(_PLURALS)}")
    for form in forms.values():
        if not isinstance(form, str) or len(form) > _FORM_CHARACTERS:
            raise ArgumentError(f"expected text of at most {_FORM_CHARACTERS} characters")
    if missing := [name for name in _needed(language) if name not in forms]:
        raise ArgumentError(f"{language} also needs {', '.join(missing)}")
    rounded, digits = visible(value)
    form = forms.get(_category(language, rounded), forms.get("other"))
    if form is None:
        raise InputError("expected a whole number, as the template gives no form other")
    text = formatted(language, rounded, number_pattern(language, digits))
    return str(form).replace("#", text)


def _category(language: str, value: Decimal) -> str:
    with localcontext(EXACT):
        return str(locale_of(language).plural_form(value))


@lru_cache(maxsize=1024)
def _needed(language: str) -> tuple[str, ...]:
    """Return the categories that whole numbers have in a language."""
    categories = {_category(language, Decimal(count)) for count in _COUNTS}
    return tuple(name for name in _PLURALS if name in categories)
