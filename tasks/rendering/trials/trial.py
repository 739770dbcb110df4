"""Trial renders of the publish gate: whether texts render with values as declared."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from tasks.errors import Code, Problem
from tasks.rendering.engine import Engine
from tasks.rendering.explain import SourceError, unprintable_type
from tasks.rendering.filters.comparisons import STRUCTURES, refused_kinds
from tasks.rendering.json_documents import html_partials
from tasks.rendering.markdown import CHANGED, COMPARED
from tasks.rendering.numbers import made_exact
from tasks.rendering.outputs import is_html
from tasks.rendering.paths import ITEM, Path, holders, steps_of, written
from tasks.rendering.places import placed
from tasks.rendering.preparation import Prepared
from tasks.rendering.samples import BY_TYPE, TEXT, Anything, OpenObject
from tasks.rendering.texts import PARTS, Part, Text, declaring
from tasks.rendering.trials.data_scripts import require_data
from tasks.rendering.trials.json_proof import unproved
from tasks.rendering.trials.json_shapes import json_problems
from tasks.rendering.usage.inference import Inferred, item_names, optional_names
from tasks.rendering.usage.kinds import (
    Kind,
    kind_of_type,
    misplaced_structures,
    mixed_comparisons,
    printed_booleans,
    printed_without_text,
)
from tasks.rendering.usage.traces import Traces
from tasks.rendering.values import left_out, wrapped
from tasks.rendering.variables import Declared, Schema, nested

_FORMATTED: Final = "% is the rest of a division: write 'Hello %s' | format(name)"


def try_out(
    engine: Engine,
    text: Text,
    declared: Sequence[Declared],
    before_each: Callable[[], None],
) -> list[Problem]:
    """Return the problems of rendering the parts of a text with sample values.

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
        ready = engine.prepare(declaring(text, Schema(declared)))
    except SourceError as error:
        return [error.problem]
    problems = list(html_partials(text)) if text["type"] == "json" else []
    may_differ = any(
        each["type"] == "boolean" or not each.get("required", True) for each in declared
    )
    for part in PARTS if not problems else ():
        if part != "body" and text.get(part) is None:
            continue
        if compared := _by_types(engine, text, part, declared):
            problems += compared
            continue

        render = partial(_render, engine, ready, part, before_each)
        for leave_out in (False, True):
            if leave_out and not may_differ:
                continue
            problem = _first_problem(render, declared, leave_out=leave_out)
            if problem is not None:
                problems.append(problem)
                break
        else:
            problems += _printed_values(text, part)
        if text["type"] == "json" and part == "body" and not problems:
            problems += json_problems(render, declared, _values)
            before_each()
            problems += () if problems else unproved(text["body"])
    return problems


def _render(
    engine: Engine,
    ready: Prepared,
    part: Part,
    before_each: Callable[[], None],
    values: Mapping[str, Any],
) -> None:
    before_each()
    output = engine.part(ready, part, _given(ready, values, ready.optional), is_trial=True)
    if output is not None and part == "body" and is_html(ready.text["type"]):
        require_data(output, ready.text["body"])


def sample(
    engine: Engine,
    text: Text,
    declared: Sequence[Declared],
    before_each: Callable[[], None],
) -> dict[str, Any]:
    """Return the finished parts of a text with the sample values of a trial.

    Raises
    ------
    SourceError
        No kind of sample fits.
    """
    ready = engine.prepare(declaring(text, Schema(declared)))
    error: SourceError | None = None
    for stand_in in _stand_ins(declared):
        before_each()
        values = _values(declared, stand_in, leave_out=False)
        try:
            return engine.render(ready, _given(ready, values, ready.optional), is_trial=True)
        except SourceError as failed:
            error = error or failed
    assert error is not None  # noqa: S101 - for the type checker: there is a stand-in
    raise error


def _by_types(
    engine: Engine, text: Text, part: Part, declared: Sequence[Declared]
) -> list[Problem]:
    """Return problems of the variables' types: texts compared with numbers, objects printed."""
    source = text.get(part) or ""
    traces = engine.traces(source)
    kinds = {
        steps_of(variable["name"]): kind
        for variable in declared
        if (kind := kind_of_type(variable["type"])) is not None
    }
    compared = (
        [
            placed(part, "invalid_operation", f"comparison: {refused_kinds(mixed)}", source, place)
            for place, mixed in mixed_comparisons(traces.comparisons, kinds)
        ]
        + [
            placed(
                part, "invalid_operation", f"arithmetic: {_not_a_number(kind, sign)}", source, place
            )
            for place, sign, kind in misplaced_structures(traces.calculations, kinds)
        ]
        + [
            placed(part, "invalid_operation", f"arithmetic: {_FORMATTED}", source, place)
            for place, sign, ((_, left), _) in traces.calculations
            if sign == "%" and left == "text"
        ]
    )
    if part == "body" and is_html(text["type"]):
        compared += _markdown_problems(traces, declared, source)
    if text["type"] == "json" and part == "body":
        return compared  # JSON has objects, arrays and booleans
    structures = {
        steps_of(variable["name"]): variable["type"]
        for variable in declared
        if variable["type"] in {"array", "boolean", "object"}
    }
    printed = [
        unprintable_type(part, structures[path], written(path), source, place)
        for place, path in traces.prints
        if path in structures
    ]
    return [*compared, *printed]


def _not_a_number(kind: Kind, sign: str) -> str:
    return f"{sign} is for numbers, not for an {kind}: {STRUCTURES[kind]}"


def _printed_values(text: Text, part: Part) -> list[Problem]:
    """Return the problems of conditions and pairs that are printed; JSON has both."""
    if text["type"] == "json" and part == "body":
        return []
    source = text.get(part) or ""
    return [
        unprintable_type(part, "boolean", source[node.start : node.end], source, node.start)
        for node in printed_booleans(source)
    ] + [
        placed(part, "unprintable", message, source, node.start)
        for node, message in printed_without_text(source)
    ]


def _markdown_problems(traces: Traces, declared: Sequence[Declared], source: str) -> list[Problem]:
    """Return the places of a page that use a Markdown value otherwise than in prints and tests."""
    paths = {steps_of(each["name"]) for each in declared if each["type"] == "markdown"}
    changed = [
        placed("body", "markdown_filter", CHANGED, source, place)
        for place, path in traces.changes
        if path in paths
    ]
    compared = [
        placed("body", "markdown_filter", COMPARED, source, place)
        for place, sides in traces.comparisons
        if any(path in paths for path, _ in sides)
    ]
    return [*changed, *compared]


def inferred(
    engine: Engine, texts: Sequence[Text], names: Sequence[str], before_each: Callable[[], None]
) -> Inferred:
    """Return what texts say of the variables ``names``.

    A name may be left out if every use of it asks for it first, or has a default, and if the
    texts render without it: see :mod:`tasks.rendering.usage.uses`.
    """
    uses = engine.uses(texts)
    if uses is None:
        return Inferred([], [])
    tops = set(names)
    items = sorted(name for name in item_names(uses) if not tops.isdisjoint(holders(name)))
    asked = sorted(optional_names([*names, *items], uses))
    optional = []
    for name in asked:
        rest = [other for other in (*names, *items) if other != name]
        if all(_is_optional(engine, text, name, rest, before_each) for text in texts):
            optional.append(name)
    return Inferred(optional, items)


def _is_optional(
    engine: Engine, text: Text, name: str, others: Sequence[str], before_each: Callable[[], None]
) -> bool:
    """Return whether a text renders without a variable, or fails even with values for all."""
    ready = engine.prepare(text)

    def renders(names: Iterable[str], left_out: Sequence[Path]) -> bool:
        before_each()
        given = _given(ready, nested({each: Anything() for each in names}), left_out)
        try:
            for part in PARTS:
                engine.part(ready, part, given, is_trial=True)
        except SourceError:
            return False
        return True

    return renders(others, [steps_of(name)]) or not renders((*others, name), [])


def _first_problem(
    render: Callable[[Mapping[str, Any]], None], declared: Sequence[Declared], *, leave_out: bool
) -> Problem | None:
    shapeless = any(_is_shapeless(variable) for variable in declared)
    error: SourceError | None = None
    for stand_in in _stand_ins(declared):
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
    # With declared shapes the template is at fault; otherwise that is unknown.
    return error.problem if error is not None and not shapeless else None


def _stand_ins(declared: Sequence[Declared]) -> tuple[Any, ...]:
    """Return stand-ins for values of undeclared shape."""
    shapeless = any(_is_shapeless(variable) for variable in declared)
    return (Anything(), TEXT, 1, [Anything()]) if shapeless else (None,)


def _given(
    ready: Prepared, values: Mapping[str, Any], optional_paths: Iterable[Path]
) -> dict[str, Any]:
    """Return values of a trial as the engine gets them."""
    given = {name: wrapped(value) for name, value in values.items()}
    return left_out(made_exact(given, ready.decimals), optional_paths)


def _values(
    declared: Sequence[Declared],
    stand_in: Any,  # noqa: ANN401 - whatever stands for an undeclared shape
    *,
    leave_out: bool,
) -> dict[str, Any]:
    said: dict[str, Any] = {}
    made_up: dict[str, Any] = {}
    names = [variable["name"] for variable in declared]
    for variable in declared:
        name, kind = variable["name"], variable["type"]
        if leave_out and not variable.get("required", True) and variable.get("default") is None:
            continue
        example, default = variable.get("example"), variable.get("default")
        first, second = (default, example) if leave_out else (example, default)
        value = first if first is not None else second
        if leave_out and kind == "boolean":
            value = False
        if value is not None:
            said[name] = value
        elif any(other.startswith((f"{name}.", f"{name}[")) for other in names):
            # Its members say what it is; others that it may have are made up.
            is_array = any(other.startswith(f"{name}{ITEM}") for other in names)
            made_up[name] = [OpenObject()] if is_array else OpenObject()
        else:
            value = BY_TYPE.get(kind, stand_in)
            made_up[name] = [value] if kind == "array" and not isinstance(value, list) else value
    return nested(said, made_up)


def _is_shapeless(variable: Declared) -> bool:
    return (
        variable["type"] not in BY_TYPE
        and variable.get("example") is None
        and variable.get("default") is None
    )
