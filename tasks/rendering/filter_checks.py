"""Calls of locale filters that would give a reader something else than their author meant.

The publish gate refuses them. A version that was published before renders as it did.
"""

from collections.abc import Iterator

from tasks.errors import Problem
from tasks.rendering.calls import Call, calls
from tasks.rendering.locale_filters.casing import CASES, has_rules
from tasks.rendering.locale_filters.patterns import FORMATS, MOMENTS, mistaken
from tasks.rendering.locale_filters.plurals import unused_forms
from tasks.rendering.places import placed
from tasks.rendering.plural_calls import forms_of, is_ordinal_call


def problems(source: str, language: str, path: str) -> Iterator[Problem]:
    """Yield a problem for each such call in a source of a language."""
    for call in calls(source, (*MOMENTS, "plural", "map")):
        wrong = _wrong(call, language)
        if wrong is not None:
            yield placed(path, "filter", f"{call.filter}: {wrong}", source, call.start)


def _wrong(call: Call, language: str) -> str | None:
    if call.filter == "plural":
        return _plural(call, language)
    return _mapped(call, language) if call.filter == "map" else _moment(call)


def _mapped(call: Call, language: str) -> str | None:
    """Return what is wrong with a filter that is used by its name, which knows no language."""
    used = call.argument("filter", 0)
    if used is None or used.text not in CASES or not has_rules(language):
        return None
    return f"{used.text} has rules of its own in {language}: use it in a loop over the items"


def _moment(call: Call) -> str | None:
    pattern = call.argument("format", 0)
    if pattern is None or pattern.text is None or pattern.text in FORMATS:
        return None
    return mistaken(pattern.text)


def _plural(call: Call, language: str) -> str | None:
    forms = forms_of(call)
    if any(not form.literals for form in forms):
        return "write each form as text in quotes: a # in a value is text, not the number"
    names = [form.name for form in forms if form.name is not None]
    unused = unused_forms(language, names, is_ordinal=is_ordinal_call(call))
    if not unused:
        return None
    number = {"zero": 0, "one": 1, "two": 2}.get(unused[0], 0)
    return (
        f"no number takes the form {', '.join(unused)} in {language}:"
        f" leave it out, or write exactly_{number} for that number alone"
    )
