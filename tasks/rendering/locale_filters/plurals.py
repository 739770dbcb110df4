"""Plural forms (Unicode Technical Standard 35, part 3, section "Plural rules syntax")."""

import re
from collections.abc import Collection, Mapping
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Any, Final

from tasks.rendering.locale_filters.errors import ArgumentError, InputError
from tasks.rendering.locale_filters.gsm import spoken
from tasks.rendering.locale_filters.locales import locale_of
from tasks.rendering.locale_filters.numbers import EXACT, formatted, number_style, visible
from tasks.rendering.plural_calls import filled, read

CATEGORIES: Final = ("zero", "one", "two", "few", "many", "other")
_EXACT_FORM: Final = re.compile(r"exactly_(0|[1-9][0-9]{0,17})")
_FORM_CHARACTERS: Final = 2000
_COUNTS: Final = range(201)
"""Everyday counts; an author has to give their plural categories."""


def plural(language: str, value: object, /, *, ordinal: object = False, **forms: object) -> str:
    """Return the form that goes with a number, ``#`` replaced by the number.

    Parameters
    ----------
    value
        A number of :func:`number`. Its form depends on the digits that are shown, so that "1"
        and "1.0" may have different ones (Unicode Technical Standard 35, part 3, section
        "Plural rules syntax").
    ordinal
        Whether the forms are of ranks, such as "1st", instead of counts.
    forms
        Text of at most 2000 characters for each of the categories zero, one, two, few, many and
        other that whole numbers have in the language. A category that only other numbers have
        can be left out, and ``other`` takes its place. ``exactly_0`` and the like are for one
        number, and come before the categories.

    Raises
    ------
    ArgumentError
        A category is unknown, or one is missing.
    InputError
        The value is not a number, or needs ``other``, which the template does not give.
    """
    is_ordinal = _truth(ordinal)
    form, number = _chosen(language, value, forms, is_ordinal=is_ordinal)
    return filled(read(form, is_ordinal=is_ordinal), number)


def marked_plural(
    language: str, value: object, /, *, ordinal: object = False, **forms: object
) -> str:
    """Return what :func:`plural` does, of forms whose places of the number are marked."""
    return filled(*_chosen(language, value, forms, is_ordinal=_truth(ordinal)))


def unused_forms(language: str, names: Collection[str], *, is_ordinal: bool) -> list[str]:
    """Return the categories among ``names`` that no number has in a language."""
    used = {*_rule(language, is_ordinal=is_ordinal).tags, "other"}
    return [name for name in CATEGORIES if name in names and name not in used]


def has_two_forms(language: str) -> bool:
    """Return whether nouns have a form beside 1 and one beside all other whole numbers.

    Raises
    ------
    ArgumentError
        CLDR does not know the language.
    """
    return all(
        category(language, Decimal(count)) == ("one" if count == 1 else "other")
        for count in _COUNTS
    )


def _chosen(
    language: str, value: object, forms: Mapping[str, object], *, is_ordinal: bool
) -> tuple[str, str]:
    """Return the form that goes with a number, and the number as text."""
    exact = {match[1]: name for name in forms if (match := _EXACT_FORM.fullmatch(name))}
    if not forms or not set(forms) <= {*CATEGORIES, *exact.values()}:
        raise ArgumentError(
            f"expected forms, named by {', '.join(CATEGORIES)}, or exactly_0 and the like"
        )
    for form in forms.values():
        if not isinstance(form, str) or len(form) > _FORM_CHARACTERS:
            raise ArgumentError(f"expected text of at most {_FORM_CHARACTERS} characters")
    needed = _needed(language, is_ordinal, frozenset(map(int, exact)))
    if missing := [name for name in needed if name not in forms]:
        raise ArgumentError(f"{spoken(language)} also needs {', '.join(missing)}")
    rounded, digits = visible(value)
    name = exact.get(f"{rounded:f}".partition(".")[0]) if rounded == int(rounded) else None
    general = forms.get(category(language, rounded, is_ordinal=is_ordinal), forms.get("other"))
    form = general if name is None else forms[name]
    if form is None:
        raise InputError("expected a whole number, as the template gives no form other")
    return str(form), formatted(rounded, number_style(language, digits))


def _truth(ordinal: object) -> bool:
    if not isinstance(ordinal, bool):
        raise ArgumentError("expected true or false for ordinal")
    return ordinal


def category(language: str, value: Decimal, *, is_ordinal: bool = False) -> str:
    """Return the category of a number in a language."""
    with localcontext(EXACT):
        return str(_rule(language, is_ordinal=is_ordinal)(value))


def _rule(language: str, *, is_ordinal: bool) -> Any:  # noqa: ANN401 - Babel's rule, a callable with tags
    locale = locale_of(language)
    return locale.ordinal_form if is_ordinal else locale.plural_form


@lru_cache(maxsize=1024)
def _needed(language: str, is_ordinal: bool, exact: frozenset[int]) -> tuple[str, ...]:  # noqa: FBT001 - a key of a cache
    """Return the categories that whole numbers have in a language, but for those given exactly."""
    categories = {
        category(language, Decimal(count), is_ordinal=is_ordinal)
        for count in _COUNTS
        if count not in exact
    }
    return tuple(name for name in CATEGORIES if name in categories)
