"""The publish gate: what must hold of sources before anything is stored."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tasks.errors import (
    PlaceholderMismatch,
    Problem,
    RenderLimitExceeded,
    ServiceError,
    TemplateSyntax,
    VariablesInvalid,
)
from tasks.messages.versions import Text, Variable
from tasks.rendering.client import Renderer
from tasks.rendering.outputs import is_html
from tasks.rendering.variables import covered, mistyped

Source = Mapping[str, Any]
Stored = list[dict[str, Any]]


def sources_of(template_type: str, text: Text, translations: Mapping[str, Text]) -> list[Source]:
    """Return every source of a version, each with its ``path`` in the message."""
    found = list(_sources(template_type, text, ""))
    for language, translation in translations.items():
        found += _sources(template_type, translation, f"translations.{language}.")
    return found


def pass_gate(
    renderer: Renderer, sources: Sequence[Source], declared: Sequence[Variable] | None
) -> Stored:
    """Return the variables to store with a version: ``declared``, or those of the sources.

    Raises
    ------
    TemplateSyntax
        A source does not compile, or its trial render fails.
    PlaceholderMismatch
        A source uses a placeholder that is not declared.
    VariablesInvalid
        A default or an example is not of its variable's type.
    RenderLimitExceeded
        The trial render went over a limit.
    """
    placeholders, broken = renderer.inspect(sources)
    values = list(_wrong_values(declared or ()))
    if declared is None:
        undeclared: list[Problem] = []
        variables = [] if broken else _inferred(renderer, sources, placeholders)
    else:
        variables = [variable.stored() for variable in declared]
        undeclared = list(_undeclared(placeholders, {variable.name for variable in declared}))
    _raise_all(broken, values, undeclared)
    _try_out(renderer, sources, variables)
    return variables


def _sources(template_type: str, text: Text, prefix: str) -> Iterator[Source]:
    if text.subject is not None:
        yield {
            "path": f"{prefix}subject",
            "source": text.subject,
            "html": False,
            "subject": True,
        }
    yield {
        "path": f"{prefix}body",
        "source": text.body,
        "html": is_html(template_type),
        "subject": False,
    }


def _inferred(
    renderer: Renderer, sources: Sequence[Source], placeholders: Mapping[str, list[str]]
) -> Stored:
    every = sorted({name for names in placeholders.values() for name in names})
    # "user" says all that "user.name" does.
    names = [
        name
        for name in every
        if not any(name.startswith(f"{other}.") for other in every if other != name)
    ]
    optional = set(renderer.optional(sources, names)) if names else set()
    return [Variable(name=name, required=name not in optional).stored() for name in names]


def _undeclared(placeholders: Mapping[str, list[str]], declared: set[str]) -> Iterator[Problem]:
    for path, names in placeholders.items():
        for name in names:
            if not covered(name, declared):
                yield {
                    "path": path,
                    "type": "undeclared",
                    "message": f"placeholder '{name}' is not among the declared variables",
                }


def _wrong_values(declared: Sequence[Variable]) -> Iterator[Problem]:
    for index, variable in enumerate(declared):
        for field in ("default", "example"):
            value = getattr(variable, field)
            expected = mistyped(variable.type, value) if value is not None else None
            if expected is not None:
                yield {
                    "path": f"variables[{index}].{field}",
                    "type": variable.type,
                    "message": expected,
                }


def _raise_all(broken: list[Problem], values: list[Problem], undeclared: list[Problem]) -> None:
    """Raise one error with all problems, its class that of the first kind there is."""
    kinds: list[tuple[type[ServiceError], str, list[Problem]]] = [
        (TemplateSyntax, "a source does not compile", broken),
        (VariablesInvalid, "a default or example does not fit its type", values),
        (PlaceholderMismatch, "a placeholder is not declared", undeclared),
    ]
    for error, message, problems in kinds:
        if problems:
            raise error.of(message, [*broken, *values, *undeclared])


def _try_out(renderer: Renderer, sources: Sequence[Source], variables: Stored) -> None:
    problems = []
    for source in sources:
        problem = renderer.try_out(source, variables)
        if problem is not None:
            problems.append(problem)
            if problem["type"] == "limit":
                raise RenderLimitExceeded.of("a trial render went over a limit", problems)
    if problems:
        raise TemplateSyntax.of("a trial render failed", problems)
