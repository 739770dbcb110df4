"""Cause and place of a render's error, from a second and slower render.

It runs in the render process, within the time limit of the render.
"""

from collections.abc import Mapping
from typing import Any

from minijinja import TemplateError

from tasks.errors import Code
from tasks.rendering import inspection
from tasks.rendering.compiled import CompiledSource
from tasks.rendering.explain import (
    ErrorContext,
    SourceError,
    explained,
    filter_failed,
    null_printed,
    unfit_operation,
    unprintable,
)
from tasks.rendering.failures import FilterFailedError, NullPrintedError
from tasks.rendering.hints.renders import naming
from tasks.rendering.html.addresses import place_of_address
from tasks.rendering.places import placed
from tasks.rendering.texts import Part
from tasks.rendering.values import without_missing


def of(
    error: Exception,
    compiled: CompiledSource,
    path: Part,
    values: Mapping[str, Any],
    *,
    is_trial: bool,
) -> SourceError:
    """Return the error of a render as one of the contract."""
    bare = without_missing(values)
    if bare is not None:
        # The engine says more of a name that it does not know.
        try:
            compiled.compiler.render(compiled.name, compiled.partials, bare, is_trial=is_trial)
        except MemoryError:
            raise
        except Exception as again:  # noqa: BLE001 - as below
            error, values = again, bare
    if isinstance(error, NullPrintedError) or _is_missing(error):
        rendered, found = compiled.compiler.watch(
            compiled.name, compiled.partials, values, is_trial=is_trial
        )
        seen = unprintable(found, _context(compiled, path, values), is_trial=is_trial)
        if seen is not None:
            if rendered is None and _is_missing(error):
                return _joined(_explained(error, compiled, path, values), seen)
            return seen
    return _explained(error, compiled, path, values)


def of_address(source: str, where: tuple[str, str]) -> SourceError:
    """Return the error of a value that would run a script, in an attribute of an element."""
    element, attribute = where
    message = (
        f"a value would become an address that runs a script, in {attribute} of <{element}>: send "
        "one that begins with https:, or declare the variable as 'url'"
    )
    place = place_of_address(source, where)
    return SourceError(
        Code.VARIABLES_INVALID,
        naming(message, source, place),
        placed("body", "dangerous_address", message, source, place),
    )


def _joined(first: SourceError, other: SourceError) -> SourceError:
    """Return an error with the problems of both, each place once."""
    seen = {(each.get("line"), each.get("column")) for each in other.problems}
    own = [each for each in first.problems if (each.get("line"), each.get("column")) not in seen]
    problems = sorted(
        [*own, *other.problems], key=lambda each: (each.get("line", 0), each.get("column", 0))
    )
    return SourceError(first.code, first.message, problems[0], problems[1:])


def _is_missing(error: Exception) -> bool:
    return isinstance(error, TemplateError) and error.kind == "UndefinedError"


def _explained(
    error: Exception, compiled: CompiledSource, path: Part, values: Mapping[str, Any]
) -> SourceError:
    context = _context(compiled, path, values)
    match error:
        case TemplateError():
            return explained(error, context)
        case NullPrintedError():
            return null_printed(context)
        case FilterFailedError():
            place = compiled.compiler.filter_place(error, compiled.name, compiled.partials, values)
            return filter_failed(error, context, place)
    return unfit_operation(path, context.source)


def _context(compiled: CompiledSource, path: Part, values: Mapping[str, Any]) -> ErrorContext:
    compiler = compiled.compiler
    return ErrorContext(
        path=path,
        source=compiler.source(compiled.name),
        partials={name: (key, compiler.source(name)) for key, name in compiled.partials.items()},
        values=values,
        placeholders=lambda source: inspection.placeholders(compiler.environment, source, {}),
        rewritten=compiler.rewritten_or_none,
    )
