"""Rules of a version's parts and languages that the message models cannot check."""

from collections.abc import Iterable, Iterator

from tasks.errors import InvalidMessage, Problem, problem
from tasks.rendering.matching.subtags import same_meaning
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
    """Make sure that no two texts are in one language, the version's own text among them.

    Raises
    ------
    InvalidMessage
        Two are; ``path`` leads to the translations in the message.
    """
    texts: dict[object, str] = {}
    for other in translated:
        if same_meaning(other) == same_meaning(language):
            message = (
                f"{_named_twice(other, language)} is the language of the version's own text: give "
                "it as body and subject of the message, or say in metadata.language which language "
                "these are in"
            )
            raise InvalidMessage.at(f"{path}.{other}", "own_language", message)
        first = texts.setdefault(same_meaning(other), other)
        if first != other:
            raise _same_language(f"{path}.{other}", other, first)


def require_other_language(language: str, own: str, translated: Iterable[str]) -> None:
    """Make sure that a translation is upserted in a language that no other text is in.

    Raises
    ------
    InvalidMessage
        The version's own text is in it, or a translation by another tag.
    """
    if same_meaning(language) == same_meaning(own):
        message = (
            f"{_named_twice(language, own)} is the language of the version's own text, which "
            "cannot change: publish a new version with version.publish"
        )
        raise InvalidMessage.at("language_code", "own_language", message)
    for other in translated:
        if other != language and same_meaning(other) == same_meaning(language):
            raise _same_language("language_code", language, other)


def _same_language(path: str, language: str, other: str) -> InvalidMessage:
    message = (
        f"'{language}' and '{other}' are the same language: keep one of them; translation.delete "
        "deletes a stored one"
    )
    return InvalidMessage.at(path, "same_language", message)


def _named_twice(language: str, own: str) -> str:
    return f"'{language}'" if language == own else f"'{language}', the same as '{own}',"


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
