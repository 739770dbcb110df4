"""Calls of locale filters that would give a reader something else than their author meant.

The publish gate refuses them. A version that was published before renders as it did.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from tasks.errors import Problem
from tasks.rendering.calls import Call, calls
from tasks.rendering.locale_filters.casing import CASES, has_rules
from tasks.rendering.locale_filters.errors import ArgumentError
from tasks.rendering.locale_filters.patterns import FORMATS, MOMENTS, mistaken, other_form
from tasks.rendering.locale_filters.plurals import CATEGORIES, has_two_forms, unused_forms
from tasks.rendering.places import placed
from tasks.rendering.plural_calls import forms_of, is_ambiguous, is_ordinal_call

_SIGN_IN_CALL = re.compile(r"""(?:^|[~(,])\s*\w+\(\s*(?:'[^'#]*#|"[^"#]*#)""")
_PATTERN = re.compile(r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\s*\|\s*\Z""", re.DOTALL)
_SIGN = re.compile(r"%[-+ 0#]*\d*(?:\.\d+)?(?:\([^()]*\))?[hlL]?([A-Za-z%])")
_FORMS: Final = (*CATEGORIES, "exactly_")


def problems(source: str, language: str, path: str) -> Iterator[Problem]:
    """Yield a problem for each such call in a source of a language."""
    for call in calls(source, (*MOMENTS, "format", "plural", "pluralize", "map")):
        wrong = _lost(call, source) if call.filter == "format" else _wrong(call, language)
        if wrong is not None:
            yield placed(path, "filter", f"{call.filter}: {wrong}", source, call.start)


def _wrong(call: Call, language: str) -> str | None:
    if call.filter == "plural":
        return _plural(call, language) or _sign(call)
    if call.filter == "pluralize":
        return _endings(call, language)
    return _mapped(call, language) if call.filter == "map" else _moment(call, language)


def _lost(call: Call, source: str) -> str | None:
    """Return the problem of a pattern in quotes that has no place for all values."""
    pattern = _PATTERN.search(source, max(0, call.start - 500), call.start)
    values = [each for each in call.arguments if each.name is None]
    if pattern is None or "*" in pattern[0] or not values:
        return None
    if sum(sign != "%" for sign in _SIGN.findall(pattern[0])) >= len(values):
        return None
    return "more values than % signs: write %s for each, as in '%s of %s'"


def _mapped(call: Call, language: str) -> str | None:
    """Return the problem of a filter passed by its name: it then has no language.

    Nor does the engine pass on arguments that have a name.
    """
    used = call.argument("filter", 0)
    named = next((each.name for each in call.arguments if each.name), None)
    if used is not None and used.text == "plural":
        return "plural has forms by name, which map does not pass on: write a loop"
    if used is not None and used.name is None and named is not None:
        return f"{named} is not passed on: write a loop, or the argument without its name"
    if used is None or used.text not in CASES or not has_rules(language):
        return None
    return f"{used.text} has rules of its own in {language}: use it in a loop over the items"


def _moment(call: Call, language: str) -> str | None:
    pattern = call.argument("format", 0)
    if pattern is None or pattern.text is None or pattern.text in FORMATS:
        return None
    if (mistake := mistaken(pattern.text)) is not None:
        return mistake
    with suppress(ArgumentError):  # of a language that CLDR does not know: a trial reports it
        return other_form(pattern.text, language)
    return None


def _endings(call: Call, language: str) -> str | None:
    """Return the problem of endings that fit no noun, or not all of its numbers."""
    with suppress(ArgumentError):  # of a language that CLDR does not know
        if not has_two_forms(language):
            return (
                "it has an ending for 1 and one for all other numbers, and that is not how "
                f"{language} counts: write plural, which has a form for each"
            )
    if len(call.arguments) == 1:
        return "one ending would be that of 1: write both, as in pluralize('', 'es')"
    if not call.arguments and language.partition("-")[0] != "en":
        return f"its own ending is the s of English: write those of {language}, or plural"
    return None


def _sign(call: Call) -> str | None:
    """Return the problem of a ``#`` that is not the number, but was meant to be or not to be."""
    for form in forms_of(call):
        if r"\#" in form.code:
            return "a backslash escapes no #: write ## for one that is not the number"
        if _SIGN_IN_CALL.search(form.code):
            return "a # that is handed to a macro is text: hand it the number, as in bold(count)"
        if is_ambiguous(form, is_ordinal=is_ordinal_call(call)):
            return (
                "a # next to a value would become the number: write ## where it is not the number,"
                " as in 'ticket ##' ~ id, and '#' in quotes of its own where it is"
            )
    return None


def _plural(call: Call, language: str) -> str | None:
    forms = forms_of(call)
    names = [form.name for form in forms if form.name is not None]
    if any(not form.literals and str(form.name).startswith(_FORMS) for form in forms):
        return (
            "write each form as text in quotes, with values and markup joined by ~, as in "
            "'# of ' ~ name: a # in a value is text, not the number"
        )
    unused = unused_forms(language, names, is_ordinal=is_ordinal_call(call))
    if not unused:
        return None
    number = {"zero": 0, "one": 1, "two": 2}.get(unused[0], 0)
    return (
        f"no number takes the form {', '.join(unused)} in {language}:"
        f" leave it out, or write exactly_{number} for that number alone"
    )
