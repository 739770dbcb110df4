"""Explanations and fixes for errors of a render: pure, no I/O."""

import re
from functools import lru_cache
from itertools import islice
from typing import Final

from tasks.rendering.hints import unknown_names
from tasks.rendering.paths import written
from tasks.rendering.tags import code, tag_at
from tasks.rendering.usage.scopes import FUNCTIONS
from tasks.rendering.usage.uses import uses_of

_MOST_NAMED: Final = 5

ASK: Final = ": send a value, write a default, as in {{ name | default('there') }}, or ask with if"
MISSING_ARGUMENT: Final = "an argument is missing"
UNKNOWN_FUNCTION: Final = "unknown function"
_SIZED: Final = re.compile(r"([\w.]+)\.(?:length|size|count)")
_KEY: Final = re.compile(r"\[([A-Za-z_][\w.]*)\]\Z")
_RANGE: Final = re.compile(r"\w+\.\.\w+")
_OF_LOOP: Final = re.compile(
    r"loop\.(?!(?:index|revindex|depth)0?\b|first\b|last\b|length\b|(?:prev|next)item\b|count\b|size\b)"
)
_EXAMPLES: Final = {
    "attr": "attr('name')",
    "batch": "batch(3)",
    "groupby": "groupby('city')",
    "rejectattr": "rejectattr('is_old')",
    "selectattr": "selectattr('is_new')",
    "slice": "slice(3)",
    "split": "split(',')",
    "startingwith": "{% if name is startingwith('A') %}",
    "endingwith": "{% if name is endingwith('a') %}",
    "divisibleby": "{% if n is divisibleby(2) %}",
}
"""Uses of filters and tests that need an argument."""

_CALLED: Final = re.compile(r"\s*([\w.]+)")
_METHOD: Final = re.compile(r"\.\s*((?!(?:get|items|keys|values)\b)[A-Za-z_]\w*)\s*\(")
_LOOPED: Final = (
    "expected an array: a loop goes through one, and through an object by "
    "{{% for key, item in object | items %}}"
)
_UNPACKED: Final = (
    "an item has not as many parts as the loop has names: write "
    "{{% for key, item in object | items %}}"
)
_OF_RENDERS: Final = (
    ("unable to calculate.*", "unable to calculate: a division by zero, or numbers too large"),
    ("invalid conversion type.*", "format: expected % signs such as %s, %d and %.2f"),
    (r".*not enough values to unpack|.*too many values to unpack", _UNPACKED),
    (r".*is not iterable|not iterable", _LOOPED),
    (
        r".*has no method named (\w+)",
        "'{}' is not a method: use a filter, as in {{{{ name | upper }}}}",
    ),
    (
        "can only assign to namespaces.*",
        "only members of a namespace can be set: write {{% set sum = namespace(count=0) %}}",
    ),
    (r"cannot convert \w+ to [iu](?:8|16|32|64|128|size)", "expected a whole number"),
    (r"cannot convert \w+ to f\d+", "expected a number"),
    (r"cannot convert \w+ to bool", "expected true or false"),
    ("cannot convert value into pairs", "items: expected an object"),
    (r"cannot get (\w+) item from value", "{}: expected an array or a text"),
    ("cannot calculate length of .*", "length: expected an array, an object or a text"),
    ("value is not a string", "expected a text"),
    ("count cannot be 0", "expected a number of 1 or more"),
    ("range has too many elements", "range: too many numbers: at most 100,000"),
    ("missing argument", f"{MISSING_ARGUMENT}: docs/templates.md shows what is needed"),
    (
        "too many arguments",
        "too many arguments: remove those that the filter, function or macro does not have",
    ),
    (
        r"unknown keyword argument .(\w+).",
        "'{}' is not an argument: leave it out, or correct its name",
    ),
    (
        "filter name is required",
        "map: write the name of a filter in quotes, or of a member, as in map(attribute='name')",
    ),
    (
        "cannot super outside of block",
        "super() belongs in a {{% block %}} of a source that extends a layout",
    ),
)
"""Patterns of what the engine says of a render: what its authors would say."""


def of_render(detail: str) -> str:
    """Return the problem of a render and its remedy, from the engine's message."""
    for pattern, said in _OF_RENDERS:
        match = re.fullmatch(pattern, detail, re.DOTALL)
        if match is not None:
            return said.format(*match.groups())
    return detail


def ask(name: str) -> str:
    """Return what to do about a name that has no value."""
    if _RANGE.fullmatch(name):
        return ": write range(1, 6) for the numbers from 1 to 5"
    if _OF_LOOP.match(name):
        return ": a loop has index, index0, revindex, first, last, length, previtem and nextitem"
    if (key := _KEY.search(name)) is not None:
        return f"{ASK}; a publish tries the examples of '{key[1]}', which must be a key there"
    sized = _SIZED.fullmatch(name)
    return ASK if sized is None else f": write {{{{ {sized[1]} | length }}}} for a length"


def naming(message: str, source: str, place: int | None) -> str:
    """Return a sentence with the first variables of the tag at a place, for logs."""
    names = [] if place is None or "no value for" in message else _names_at(source, place)
    if not names or any(f"'{name}'" in message for name in names):
        return message
    return f"{message}; variables: {', '.join(names)}"


@lru_cache(maxsize=16)
def _names_at(source: str, place: int) -> list[str]:
    """Return the variables of a tag; the items of a batch may all be refused for one."""
    tag = tag_at(source, place)
    if tag is None:
        return []
    uses = uses_of([source], {}, frozenset()) or ()
    found = dict.fromkeys(written(use.path) for use in uses if tag.start <= use.place < tag.end)
    return list(islice(found, _MOST_NAMED))


def of_function(source: str, place: int | None) -> str:
    """Return the sentence about an unknown function."""
    called = None if place is None else _CALLED.match(source, place)
    name = f"'{called[1]}' is not a function" if called is not None else UNKNOWN_FUNCTION
    remedy = None if called is None else unknown_names.of_function(called[1])
    there = f"available: {', '.join(FUNCTIONS)}, and the macros of the source"
    return f"{name}; {there}" if remedy is None else f"{name}; {there}: {remedy}"


def of_expected(source: str, place: int | None, detail: str) -> str:
    """Return what the engine expected, with the filter, function or loop that did."""
    used = _CALLED.match(source, place) if place is not None else None
    if used is None:
        return detail
    if detail.startswith(MISSING_ARGUMENT) and used[1] in _EXAMPLES:
        detail = f"{MISSING_ARGUMENT}: write {_EXAMPLES[used[1]]}"
    return f"{used[1]}: {detail}"


def of_method(source: str) -> tuple[str, int | None]:
    """Return the sentence about what Python refused, and its place if there is but one.

    Mostly it is a method that a value does not have.
    """
    found = [
        (start + match.start(1), match[1])
        for start, text in code(source)
        for match in _METHOD.finditer(text)
    ]
    if not found:
        message = "a filter or function does not take these arguments: docs/templates.md shows them"
        return message, None
    names = ", ".join(dict.fromkeys(f"'{name}'" for _, name in found))
    message = f"a value has no method {names}: use a filter, as in {{{{ name | upper }}}}"
    return message, found[0][0] if len(found) == 1 else None
