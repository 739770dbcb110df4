"""The engine's own filters that a language changes: order and case."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from tasks.rendering.calls import calls
from tasks.rendering.guards import MissingError
from tasks.rendering.locale_filters import InputError
from tasks.rendering.locale_filters.casing import CASES, cased, has_rules
from tasks.rendering.sorting import dict_sorted_in, refuse_unknown_order, sorted_in
from tasks.rendering.text_filters import require_text
from tasks.rendering.values import MISSING

LanguageFilter = Callable[..., Any]
"""Called with a language, whether the render is a trial, the value and the template's arguments."""

NAMES: Final = {"sort": "sort", "dictsort": "dictsort", **CASES}
"""The filters by the names that templates give them, and their names in the engine.

Those of case have the engine's own name where a language has no rules of its own, since the engine
is faster.
"""


def language_filters(own: Mapping[str, Callable[..., Any]]) -> dict[str, LanguageFilter]:
    """Return the filters by the names that templates give them.

    ``own`` are the filters ``sort``, ``dictsort`` and ``map`` that know no languages.
    """

    def sort(language: str, is_trial: bool, value: Any = None, /, **keywords: Any) -> Any:  # noqa: ANN401, FBT001 - any value of a template
        if is_trial:
            refuse_unknown_order(language, value, keywords)
        return sorted_in(language, own, value, **keywords)

    def dictsort(language: str, _is_trial: bool, value: Any = None, /, **keywords: Any) -> Any:  # noqa: ANN401, FBT001 - the same
        return dict_sorted_in(language, own, value, **keywords)

    return {"sort": sort, "dictsort": dictsort, **{name: _casing(name) for name in CASES}}


def renamed(language: str, source: str) -> str:
    """Return a source with the filters of case that the language changes, of the same length."""
    if not has_rules(language):
        return source
    parts: list[str] = []
    last = 0
    for call in calls(source, CASES):
        parts += [source[last : call.start], CASES[call.filter]]
        last = call.start + len(call.filter)
    return "".join([*parts, source[last:]])


def _casing(name: str) -> LanguageFilter:
    def change(language: str, _is_trial: bool, value: Any = None, /) -> str:  # noqa: ANN401, FBT001 - any value of a template
        if value is None or value is MISSING:
            raise MissingError(f"{name}: a value is missing")
        try:
            require_text(value)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        return cased(name, language, str(value))

    return change
