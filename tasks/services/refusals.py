"""Additions to a refusal of values: the variables at fault, and places in texts."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice
from typing import Final

from tasks.errors import MOST_PROBLEMS, Problem
from tasks.rendering.paths import Path, steps_of
from tasks.rendering.places import placed
from tasks.rendering.texts import Part, Text
from tasks.rendering.usage.uses import uses_of

MOST_NAMED: Final = 5
"""Variables that the sentence of an error names, for logs."""

_INDEX: Final = re.compile(r"\[\d+\]")


def named(problems: Sequence[Problem]) -> str:
    """Return the end of a sentence that names the first variables at fault.

    Only declared variables are named: any other name comes from the producer, like a value.
    """
    names = [
        problem["path"].removeprefix("variables.")
        for problem in problems
        if problem["type"] != "unknown"
    ]
    if not names:
        return ""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f": {', '.join(names[:MOST_NAMED])}{more}"


def with_places(problems: Iterable[Problem], text: Text) -> list[Problem]:
    """Return problems; for members of items, with the place where the text uses them."""
    result = list(islice(problems, MOST_PROBLEMS + 1))
    if any(_INDEX.search(problem["path"]) for problem in result):
        order: tuple[Part, ...] = ("body", "subject", "text", "preheader")
        places = _places(tuple(text.get(part) or "" for part in order))
        for number, problem in enumerate(result):
            if _INDEX.search(problem["path"]):
                result[number] = _with_place(problem, places)
    return result


@lru_cache(maxsize=4)
def _places(sources: tuple[str, ...]) -> dict[Path, tuple[str, int]]:
    """Return where a text first uses each path, and in which source.

    The items of a batch may all be refused, and have one text.
    """
    places: dict[Path, tuple[str, int]] = {}
    for source in sources:
        for use in uses_of([source], {}, frozenset()) or ():
            places.setdefault(use.path, (source, use.place))
    return places


def _with_place(problem: Problem, places: dict[Path, tuple[str, int]]) -> Problem:
    name = _INDEX.sub("[]", problem["path"].removeprefix("variables."))
    found = places.get(steps_of(name))
    if found is None:
        return problem
    source, place = found
    return placed(problem["path"], problem["type"], problem["message"], source, place)
