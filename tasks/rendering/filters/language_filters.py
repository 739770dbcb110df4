"""The engine's own filters that a language changes: order and case."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from tasks.rendering.calls import calls
from tasks.rendering.filters.guards import MissingError
from tasks.rendering.filters.sorting import (
    dict_sorted_in,
    grouped_in,
    refuse_unknown_order,
    sorted_in,
)
from tasks.rendering.filters.text_filters import require_text
from tasks.rendering.locale_filters import InputError
from tasks.rendering.locale_filters.casing import CASES, cased, has_rules
from tasks.rendering.locale_filters.collation import has_order, sort_key
from tasks.rendering.values import MISSING

LanguageFilter = Callable[..., Any]
"""Called with a language, whether the render is a trial, the value and the template's arguments."""

NAMES: Final = {
    **{name: name for name in ("sort", "dictsort", "groupby", "max", "min", "unique")},
    **CASES,
}
"""The filters by the names that templates give them, and their names in the engine.

Filters of case have the engine's own name where a language has no rules of its own, since the
engine is faster.
"""


def language_filters(own: Mapping[str, Callable[..., Any]]) -> dict[str, LanguageFilter]:
    """Return the filters by the names that templates give them.

    ``own`` are the filters ``sort``, ``dictsort``, ``groupby`` and ``map`` that know no languages.
    """

    def sort(language: str, is_trial: bool, value: Any = None, /, **keywords: Any) -> Any:  # noqa: ANN401, FBT001 - any value of a template
        if is_trial:
            attribute = keywords.get("attribute")
            is_by_member = attribute is not None and isinstance(value, list | tuple)
            keys = list(own["map"](value, attribute=attribute)) if is_by_member else value
            refuse_unknown_order(language, keys, keywords)
        return sorted_in(language, own, value, **keywords)

    def dictsort(language: str, _is_trial: bool, value: Any = None, /, **keywords: Any) -> Any:  # noqa: ANN401, FBT001 - the same
        return dict_sorted_in(language, own, value, **keywords)

    def groupby(language: str, is_trial: bool, /, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401, FBT001 - the same
        groups = grouped_in(language, own, *arguments, **keywords)
        if is_trial:
            refuse_unknown_order(language, [group[0] for group in groups], keywords)
        return type(own["groupby"]([], "a"))(groups)

    def unique(language: str, _is_trial: bool, /, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401, FBT001 - the same
        unlike = own["unique"](*arguments, **keywords)
        value = arguments[0] if len(arguments) == 1 and not keywords else None
        if not has_rules(language) or not isinstance(value, list | tuple):
            return unlike
        if not all(isinstance(item, str) for item in value):
            return unlike
        # The engine takes I and i for one, which are two in Turkish.
        firsts: dict[str, str] = {}
        for item in value:
            firsts.setdefault(cased("lower", language, item), item)
        return type(unlike)(firsts.values())

    extremes = {name: _extreme(own[name], pick) for name, pick in (("max", max), ("min", min))}
    cases = {name: _casing(name) for name in CASES}
    ordered = {"sort": sort, "dictsort": dictsort, "groupby": groupby, "unique": unique}
    return {**ordered, **extremes, **cases}


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


def _extreme(own: Callable[..., Any], pick: Callable[..., Any]) -> LanguageFilter:
    """Return the filter for the first or last text in the order of a language."""

    def call(language: str, _is_trial: bool, value: Any = None, /, **keywords: Any) -> Any:  # noqa: ANN401, FBT001 - any value of a template
        found = own(value, **keywords)
        if not isinstance(found, str) or keywords or not has_order(language):
            return found
        return pick(value, key=lambda text: sort_key(language, text))

    return call


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
