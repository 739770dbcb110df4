"""Renders of templates of a folder, as ``render.one`` gives them."""

from collections.abc import Mapping
from typing import Any

from tasks.errors import VariablesInvalid
from tasks.messages.base import parse
from tasks.messages.render import RenderOne
from tasks.rendering.client import Renderer
from tasks.rendering.frames import encode
from tasks.rendering.languages import choose
from tasks.rendering.samples import sample_values
from tasks.rendering.texts import Text, declaring
from tasks.rendering.variables import Schema
from tasks.services.refusals import named, with_places
from worker.authoring.gate import Passed


def render(
    renderer: Renderer, passed: Passed, variables: Mapping[str, Any], language: str | None = None
) -> dict[str, Any]:
    """Return the finished parts of a template, with ``language``, ``defaulted`` and ``unused``.

    Raises
    ------
    ServiceError
        As ``render.one`` is refused.
    """
    text, language = _text(renderer, passed, variables, language)
    schema = Schema([*passed.variables, *passed.library.beyond(passed.variables)])
    bound, problems = schema.bind(dict(variables))
    if problems:
        raise VariablesInvalid.of(
            f"the variables do not match{named(problems)}", with_places(problems, text)
        )
    parts = renderer.render(declaring(text, schema), encode(bound.values))
    return {
        "language": language,
        "defaulted": bound.defaulted,
        "unused": bound.unused,
        **parts,
    }


def example_values(passed: Passed) -> dict[str, Any]:
    """Return a value for each variable, also of partials: its example, or made from its type."""
    return sample_values(passed.library.with_undeclared(passed.variables))


def render_examples(
    renderer: Renderer, passed: Passed, language: str | None = None
) -> dict[str, Any]:
    """Return the result of :func:`render`, with invented values where none are given.

    Raises
    ------
    ServiceError
        No made-up value fits.
    """
    text, language = _text(renderer, passed, {}, language)
    parts = renderer.sample(text, passed.library.with_undeclared(passed.variables))
    return {"language": language, "defaulted": [], "unused": [], **parts}


def _text(
    renderer: Renderer, passed: Passed, variables: Mapping[str, Any], language: str | None
) -> tuple[Text, str]:
    """Return the text that a render in a language has, and its language."""
    given = {"template_id": passed.definition.template_id, "variables": dict(variables)}
    message = parse(RenderOne, given | {"language": language}, renderer.limits)
    by_language = {text.candidate.text["language"]: text.candidate for text in passed.texts}
    own = passed.texts[0].candidate.text["language"]
    choice = choose(message.language, tuple(sorted({*by_language} - {own})), own, "closest")
    assert choice is not None  # noqa: S101 - for the type checker: some language is the closest
    return by_language[choice.language].text, choice.language
