"""``sort``, ``dictsort`` and ``groupby`` in the order of a language.

The engine compares code points, so that "Äpfel" comes after "Zebras".
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tasks.rendering.filters.comparisons import refuse_mixed
from tasks.rendering.filters.guards import MissingError, missing_at
from tasks.rendering.locale_filters import ArgumentError, InputError
from tasks.rendering.locale_filters.collation import has_order, sort_key
from tasks.rendering.locale_filters.gsm import spoken
from tasks.rendering.values import Null

Filter = Callable[..., Any]

NO_ORDER: Final = (
    "the order of texts in {} is not known here: send them in order, or add case_sensitive=true for"
    " the order of code points, which is right for numbers"
)


def sorted_in(
    language: str, filters: Mapping[str, Filter], value: object, /, **keywords: object
) -> Any:  # noqa: ANN401 - any array of a template
    """Return a sorted array, its texts in the order of the language.

    ``filters`` are the engine's own ``sort``, and ``map``, which gives the members to sort by.
    """
    keys = _keys(filters, value, keywords)
    if keys is None or not has_order(language):
        return filters["sort"](value, **keywords)
    try:
        refuse_mixed(keys)
    except InputError as error:
        raise InputError(f"sort: {error}") from None
    return _reordered(language, list(value), keys, keywords)  # type: ignore[call-overload] # a list, as _keys saw


def dict_sorted_in(
    language: str, filters: Mapping[str, Filter], value: object, /, **keywords: object
) -> Any:  # noqa: ANN401 - any array of a template
    """Return the pairs of an object, sorted by key or value in the order of the language."""
    pairs = filters["dictsort"](value, **keywords)
    by = keywords.get("by", "key")
    keys = [pair[1 if by == "value" else 0] for pair in pairs]
    if keywords.get("case_sensitive") or not _are_texts(keys) or not has_order(language):
        return pairs
    return _reordered(language, list(pairs), keys, keywords)


def grouped_in(
    language: str,
    filters: Mapping[str, Filter],
    value: object,
    /,
    *arguments: object,
    **keywords: object,
) -> list[Any]:
    """Return the groups of an array, in the order of what they have in common.

    A null counts as left out, so that the default is for it too.
    """
    try:
        groups = list(filters["groupby"](value, *arguments, **keywords))
    except MissingError:
        attribute = arguments[0] if arguments else keywords.get("attribute")
        missing = missing_at(filters["map"](value, attribute=attribute)) if attribute else ""
        if missing:
            raise MissingError(f"groupby: a value is missing{missing}") from None
        raise
    nulls = [group for group in groups if isinstance(group[0], Null)]
    if nulls and "default" in keywords:
        default = keywords["default"]
        same = [group for group in groups if group[0] == default]
        items = [item for group in (*same, *nulls) for item in group[1]]
        groups = [group for group in groups if group not in (*same, *nulls)]
        groups.append(type(nulls[0])([default, type(nulls[0][1])(items)]))
    attribute = arguments[0] if arguments else keywords.get("attribute")
    groups = [_named_by_first(filters, group, attribute) for group in groups]
    keys = [group[0] for group in groups]
    try:
        refuse_mixed(keys)
    except InputError as error:
        raise InputError(f"groupby: {error}") from None
    if keywords.get("case_sensitive") or not _are_texts(keys) or not has_order(language):
        return groups
    return _reordered(language, groups, keys, {})


def _named_by_first(filters: Mapping[str, Filter], group: Any, attribute: object) -> Any:  # noqa: ANN401 - a group
    """Return a group whose name is spelled as in its first item, as in Jinja2.

    Without ``case_sensitive``, the engine takes the spelling of the last one.
    """
    name, items = group
    if not isinstance(name, str) or not items or not isinstance(attribute, str):
        return group
    (first,) = filters["map"]([items[0]], attribute=attribute)
    return type(group)([first, items]) if isinstance(first, str) else group


def refuse_unknown_order(language: str, value: object, keywords: dict[str, object]) -> None:
    """Raise an :class:`ArgumentError` for texts of a language whose order is not known.

    Only a publish does: a version of old is rendered as before.
    """
    is_plain = bool(keywords.get("case_sensitive"))
    holds_texts = isinstance(value, str) or (
        isinstance(value, list | tuple) and any(isinstance(item, str) for item in value)
    )
    if not is_plain and holds_texts and not has_order(language):
        raise ArgumentError(NO_ORDER.format(spoken(language)))


def _keys(
    filters: Mapping[str, Filter], value: object, keywords: dict[str, object]
) -> Sequence[str] | None:
    """Return the texts that an array is sorted by, or None where they are not texts."""
    attribute = keywords.get("attribute")
    is_plain = bool(keywords.get("case_sensitive"))
    if is_plain or not isinstance(value, list | tuple) or "," in str(attribute):
        return None
    keys = value if attribute is None else list(filters["map"](value, attribute=attribute))
    return keys if _are_texts(keys) else None


def _are_texts(keys: Sequence[object]) -> bool:
    return bool(keys) and all(isinstance(key, str) for key in keys)


def _reordered(
    language: str, items: list[Any], keys: Sequence[str], keywords: dict[str, object]
) -> list[Any]:
    known = {key: sort_key(language, key) for key in set(keys)}
    order = sorted(
        range(len(items)),
        key=lambda index: known[keys[index]],
        reverse=bool(keywords.get("reverse")),
    )
    return [items[index] for index in order]
