"""Trial renders of the publish gate: whether sources render with values as declared."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Self

from tasks.errors import Code, Problem
from tasks.rendering.engine import Engine, SourceError
from tasks.rendering.variables import Declared, nested

_VALUES: Final[Mapping[str, Any]] = {
    "string": "text",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "date": "2026-01-31",
    "datetime": "2026-01-31T12:00:00+00:00",
    "url": "https://example.org/",
    "email": "user@example.org",
}


class Anything:
    """Stands for a value whose shape nobody declared: it has every member and can be looped over.

    Only trial renders use it; real values are plain JSON.
    """

    def __getattr__(self, name: str) -> Self:
        """Return itself for every member."""
        if name.startswith("_"):
            raise AttributeError(name)
        return self

    def __getitem__(self, key: object) -> Self:
        """Return itself for every index."""
        return self

    def __iter__(self) -> Iterator[Self]:
        """Yield itself once."""
        return iter([self])

    def __len__(self) -> int:
        """Be one long."""
        return 1

    def __str__(self) -> str:
        """Be printed as a word."""
        return "text"


MOST_RENDERS: Final = 8
"""Renders of one :func:`try_out`: four stand-ins, with optional variables given and left out."""


def try_out(
    engine: Engine,
    source: Mapping[str, Any],
    declared: Sequence[Declared],
    before_each: Callable[[], None],
) -> Problem | None:
    """Return the problem that a render of ``source`` meets with made-up values, or None.

    Parameters
    ----------
    engine
        The engine.
    source
        ``path`` (the place in the message), ``source``, ``html`` and ``subject`` (bool).
    declared
        The version's variables. An example or default is used where there is one, else a value
        made from the type. Optional ones are tried given and left out.
    before_each
        Called before each render, which has a time limit of its own.

    A value of type ``any`` is tried as several kinds of value, and what none of them fits is not
    held against the template: only its author knows what the producers send.
    """
    for leave_out in (False, True):
        found = _first_problem(engine, source, declared, before_each, leave_out=leave_out)
        if found is not None:
            return found
    return None


def optional(
    engine: Engine,
    sources: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    before_each: Callable[[], None],
) -> list[str]:
    """Return those of ``names`` that the sources guard, and do not miss when they are absent."""
    found = []
    for name in names:
        guard = re.compile(_GUARD.format(name=re.escape(name)))
        if not any(guard.search(source["source"]) for source in sources):
            continue
        values = nested({other: Anything() for other in names if other != name})
        if all(_renders(engine, source, values, before_each) for source in sources):
            found.append(name)
    return found


_GUARD: Final = r"\b{name}\s*(\|\s*(default|d)\b|is\s+(not\s+)?(un)?defined\b)"


def _renders(
    engine: Engine,
    source: Mapping[str, Any],
    values: Mapping[str, Any],
    before_each: Callable[[], None],
) -> bool:
    before_each()
    try:
        _render(engine, source, values)
    except SourceError:
        return False
    return True


def _first_problem(
    engine: Engine,
    source: Mapping[str, Any],
    declared: Sequence[Declared],
    before_each: Callable[[], None],
    *,
    leave_out: bool,
) -> Problem | None:
    shapeless = any(_is_shapeless(variable) for variable in declared)
    if leave_out and not any(_may_differ(variable) for variable in declared):
        return None
    error: SourceError | None = None
    for stand_in in (Anything(), "text", 1, [Anything()]) if shapeless else (None,):
        values = _values(declared, stand_in, leave_out=leave_out)
        before_each()
        try:
            _render(engine, source, values)
        except SourceError as failed:
            if failed.code is not Code.VARIABLES_INVALID:
                return failed.problem
            error = error or failed
        else:
            return None
    # With declared shapes the template is at fault; otherwise nobody can tell.
    return error.problem if error is not None and not shapeless else None


def _render(engine: Engine, source: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    if source["subject"]:
        engine.subject(source["source"], source["path"], values)
    else:
        engine.body(source["source"], source["path"], values, html=source["html"])


def _values(
    declared: Sequence[Declared],
    stand_in: Any,  # noqa: ANN401 - whatever stands for an undeclared shape
    *,
    leave_out: bool,
) -> dict[str, Any]:
    assignments = {}
    for variable in declared:
        if leave_out and not variable.get("required", True) and variable.get("default") is None:
            continue
        value = variable.get("default") if leave_out else variable.get("example")
        for candidate in (value, variable.get("example"), variable.get("default")):
            if candidate is not None:
                value = candidate
                break
        if value is None:
            value = _VALUES.get(variable["type"], stand_in)
        if leave_out and variable["type"] == "boolean":
            value = False
        if variable["type"] == "array" and not isinstance(value, list):
            value = [value]
        assignments[variable["name"]] = value
    return nested(assignments)


def _is_shapeless(variable: Declared) -> bool:
    return (
        variable["type"] not in _VALUES
        and variable.get("example") is None
        and variable.get("default") is None
    )


def _may_differ(variable: Declared) -> bool:
    return variable["type"] == "boolean" or not variable.get("required", True)
