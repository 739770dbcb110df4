"""Trial renders of the publish gate: whether texts render with values as declared."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tasks.errors import Code, Problem
from tasks.rendering.engine import Engine, Prepared
from tasks.rendering.explain import SourceError
from tasks.rendering.json_proof import unproved
from tasks.rendering.json_shapes import json_problems
from tasks.rendering.samples import BY_TYPE, TEXT, Anything
from tasks.rendering.texts import PARTS, Part, Text
from tasks.rendering.values import wrapped
from tasks.rendering.variables import Declared, markdown_names, nested

_GUARD: Final = r"\b{name}\s*(\|\s*(default|d)\b|is\s+(not\s+)?(un)?defined\b)"


def try_out(
    engine: Engine,
    text: Text,
    declared: Sequence[Declared],
    before_each: Callable[[], None],
) -> list[Problem]:
    """Return the problems of rendering subject and body with sample values.

    Parameters
    ----------
    engine
        The engine.
    text
        What to render.
    declared
        The version's variables. An example or default is used where there is one, else a value
        made from the type. Optional ones are tried given and left out.
    before_each
        Called before each render, which has a time limit of its own.

    A value of type ``any`` is tried as several kinds of value, and what none of them fits is not
    held against the template: only its author knows what the producers send.
    """
    try:
        ready = engine.prepare(Text(**{**text, "markdown": markdown_names(declared)}))
    except SourceError as error:
        return [error.problem]
    problems = []
    for part in PARTS:
        if part != "body" and text.get(part) is None:
            continue

        def render(values: Mapping[str, Any], part: Part = part) -> None:
            before_each()
            _render(engine, ready, part, values)

        for leave_out in (False, True):
            if leave_out and not any(_may_differ(variable) for variable in declared):
                continue
            problem = _first_problem(render, declared, leave_out=leave_out)
            if problem is not None:
                problems.append(problem)
                break
        if text["type"] == "json" and part == "body" and not problems:
            problems += json_problems(render, declared, _values)
            before_each()
            problems += () if problems else unproved(text["body"])
    return problems


def optional(
    engine: Engine, texts: Sequence[Text], names: Sequence[str], before_each: Callable[[], None]
) -> list[str]:
    """Return those of ``names`` that the texts guard, and do not miss when they are absent."""
    optional_names = []
    ready = [engine.prepare(text) for text in texts]
    every = [text.get(part) for text in texts for part in PARTS]
    sources = [source for source in every if isinstance(source, str)]
    for name in names:
        guard = re.compile(_GUARD.format(name=re.escape(name)))
        if not any(guard.search(source) for source in sources):
            continue
        values = nested({other: Anything() for other in names if other != name})
        if all(_renders(engine, one, values, before_each) for one in ready):
            optional_names.append(name)
    return optional_names


def _renders(
    engine: Engine, ready: Prepared, values: Mapping[str, Any], before_each: Callable[[], None]
) -> bool:
    before_each()
    try:
        for part in PARTS:
            _render(engine, ready, part, values)
    except SourceError:
        return False
    return True


def _first_problem(
    render: Callable[[Mapping[str, Any]], None], declared: Sequence[Declared], *, leave_out: bool
) -> Problem | None:
    shapeless = any(_is_shapeless(variable) for variable in declared)
    error: SourceError | None = None
    for stand_in in (Anything(), TEXT, 1, [Anything()]) if shapeless else (None,):
        try:
            render(_values(declared, stand_in, leave_out=leave_out))
        except SourceError as failed:
            if failed.code is not Code.VARIABLES_INVALID:
                return failed.problem
            if isinstance(stand_in, Anything) and failed.problem["type"] == "undefined":
                # It has every member, so that what is missing is an optional variable.
                return failed.problem
            error = error or failed
        else:
            return None
    # With declared shapes the template is at fault; otherwise nobody can tell.
    return error.problem if error is not None and not shapeless else None


def _render(engine: Engine, ready: Prepared, part: Part, values: Mapping[str, Any]) -> None:
    given = {name: wrapped(value) for name, value in values.items()}
    render: Mapping[Part, Callable[..., str | None]] = {
        "subject": engine.subject,
        "body": engine.body,
        "text": engine.own_text,
        "preheader": engine.preheader,
    }
    render[part](ready, given, is_trial=True)


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
            value = BY_TYPE.get(variable["type"], stand_in)
        if leave_out and variable["type"] == "boolean":
            value = False
        if variable["type"] == "array" and not isinstance(value, list):
            value = [value]
        assignments[variable["name"]] = value
    return nested(assignments)


def _is_shapeless(variable: Declared) -> bool:
    return (
        variable["type"] not in BY_TYPE
        and variable.get("example") is None
        and variable.get("default") is None
    )


def _may_differ(variable: Declared) -> bool:
    return variable["type"] == "boolean" or not variable.get("required", True)
