"""Renders of templates of a folder, as ``render.one`` gives them."""

from collections.abc import Mapping
from typing import Any

from tasks.errors import VariablesInvalid
from tasks.messages.base import parse
from tasks.messages.render import RenderOne
from tasks.rendering.client import Renderer
from tasks.rendering.frames import encode
from tasks.rendering.languages import choose
from tasks.rendering.texts import declaring
from tasks.rendering.variables import Schema
from tasks.services.refusals import named, with_places
from tasks.services.warnings import sample_values
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
    given = {"template_id": passed.definition.template_id, "variables": dict(variables)}
    message = parse(RenderOne, given | {"language": language}, renderer.limits)
    by_language = {text.candidate.text["language"]: text.candidate for text in passed.texts}
    own = passed.texts[0].candidate.text["language"]
    choice = choose(message.language, tuple(sorted({*by_language} - {own})), own, "closest")
    assert choice is not None  # noqa: S101 - for the type checker: some language is the closest
    text = by_language[choice.language].text
    schema = Schema([*passed.variables, *passed.library.beyond(passed.variables)])
    bound, problems = schema.bind(message.variables)
    if problems:
        raise VariablesInvalid.of(
            f"the variables do not match{named(problems)}", with_places(problems, text)
        )
    parts = renderer.render(declaring(text, schema), encode(bound.values))
    return {
        "language": choice.language,
        "defaulted": bound.defaulted,
        "unused": bound.unused,
        **parts,
    }


def example_values(passed: Passed) -> dict[str, Any]:
    """Return a value for each variable, also of partials: its example, or made from its type."""
    names = [variable["name"] for variable in passed.variables]
    return sample_values([*passed.variables, *passed.library.undeclared(names)])
