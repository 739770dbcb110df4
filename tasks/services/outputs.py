"""Which parts and languages a version may have: what the message models cannot know."""

from collections.abc import Iterable, Iterator

from tasks.errors import InvalidMessage, Problem, problem
from tasks.rendering.outputs import is_html
from tasks.rendering.texts import Sources


def require_parts(
    template_type: str,
    texts: Iterable[tuple[str, Sources]],
    *,
    inline_css: bool = False,
    source_format: str | None = None,
) -> None:
    """Make sure that templates of a type have the parts that a message brings.

    Parameters
    ----------
    template_type
        The template's type.
    texts
        The sources of each language, with the path that leads to them in the message.
    inline_css
        Whether styles are to be inlined.
    source_format
        The format in which bodies are written, None for the type's own.

    Raises
    ------
    InvalidMessage
        With all problems.
    """
    problems = list(_unfit(template_type, texts))
    if inline_css and not is_html(template_type):
        message = f"a template of type '{template_type}' has no styles: leave inline_css out"
        problems.append(problem("inline_css", "not_of_type", message))
    if source_format is not None and template_type != "email":
        message = f"only templates of type 'email' are written in {source_format}: leave format out"
        problems.append(problem("format", "not_of_type", message))
    if problems:
        raise InvalidMessage.of(f"the message is invalid: {len(problems)} problem(s)", problems)


def require_other_languages(language: str, translated: Iterable[str], path: str) -> None:
    """Make sure that no translation is in the language of the version's own text.

    Raises
    ------
    InvalidMessage
        One is; ``path`` leads to the translations in the message.
    """
    if language in translated:
        message = (
            f"'{language}' is the language of the version's own text: give it as body and subject "
            "of the message, or say in metadata.language which language these are in"
        )
        raise InvalidMessage.at(f"{path}.{language}", "own_language", message)


def own_language(language: str) -> InvalidMessage:
    """Return the error of ``translation.upsert`` in the language of the version's own text."""
    message = (
        f"'{language}' is the language of the version's own text, which cannot change: "
        "publish a new version with version.publish"
    )
    return InvalidMessage.at("language_code", "own_language", message)


def translated_already(language: str, version: str) -> InvalidMessage:
    """Return the error of a publish in a language into which its predecessor is translated."""
    message = (
        f"version '{version}' has a translation in '{language}', which the new version's own text "
        "would replace: delete it with translation.delete, or pass allow_dropped_translations"
    )
    return InvalidMessage.at("metadata.language", "own_language", message)


def _unfit(template_type: str, texts: Iterable[tuple[str, Sources]]) -> Iterator[Problem]:
    if template_type == "email":
        return
    for path, sources in texts:
        for part in ("text", "preheader"):
            if getattr(sources, part) is not None:
                message = f"only templates of type 'email' have a {part}, not '{template_type}'"
                yield problem(f"{path}{part}", "not_of_type", f"{message}: leave it out")
