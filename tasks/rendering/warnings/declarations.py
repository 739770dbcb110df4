"""Declared variables that no text uses, languages that a version has lost, and schedules."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from tasks.rendering.warnings.codes import Code, Place, warning


def unused_variables(
    names: Sequence[str], used: Collection[str], path: str
) -> Iterator[dict[str, Any]]:
    """Yield a warning for each declared variable that no placeholder leads to.

    ``names`` are the variables' names, ``used`` the placeholders of all texts and their partials;
    ``path`` is the path of the variables in the message.
    """
    for index, name in enumerate(names):
        # Of an array's items the engine only says that the array is used.
        whole = name.partition("[")[0]
        if not any(_meets(whole, placeholder) for placeholder in used):
            message = f"no text uses the variable '{name}'"
            yield warning(Code.UNUSED_VARIABLE, Place(f"{path}[{index}]"), message)


def lost_languages(before: Iterable[str], now: Collection[str]) -> Iterator[dict[str, Any]]:
    """Yield a warning for each language that only the previous version has."""
    for language in sorted(set(before).difference(now)):
        message = f"the previous version has a text in '{language}', and this one has none"
        yield warning(Code.LOST_LANGUAGE, Place(f"translations.{language}"), message)


def scheduled_versions(scheduled: Iterable[tuple[str, datetime]]) -> Iterator[dict[str, Any]]:
    """Yield a warning for each version that will be current instead of a new one."""
    for version, at in scheduled:
        message = f"version '{version}' is scheduled to become current at {at.isoformat()}"
        yield warning(Code.SCHEDULED_VERSION, Place(""), message)


def _meets(one: str, other: str) -> bool:
    """Return whether one path leads to the other, or to a member of it."""
    return (
        one == other
        or one.startswith((f"{other}.", f"{other}["))
        or other.startswith((f"{one}.", f"{one}["))
    )
