"""Translations of the previous version that a publish takes over, or would drop."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from db.queries import translations
from db.queries.templates import TemplateRow
from db.queries.translations import StoredText
from db.queries.versions import VersionRow
from tasks.errors import Problem, TemplateSyntax, problem
from tasks.messages.versions import CarriedTranslations, PublishVersion
from tasks.rendering.matching.subtags import same_meaning
from tasks.rendering.partials import partials_of
from tasks.rendering.texts import Sources
from tasks.services.candidates import Candidate, Candidates, Compiled
from tasks.services.formats import formatted
from tasks.services.gate import Gate, Stored
from tasks.services.outputs import translated_already
from tasks.work import Work

MOST_OF_TRANSLATION: Final = 10
"""Problems that an answer lists for each of its translations."""


@dataclass(slots=True)
class Carried:
    """The translations that the new version takes over, of those in ``languages``.

    ``inlined`` has the languages taken over, each with the body to render where styles are inlined;
    ``problems`` the mismatches of translations that the message does not allow to drop.
    """

    result: CarriedTranslations = field(
        default_factory=lambda: CarriedTranslations(carried=[], stale=[], dropped=[])
    )
    languages: Sequence[str] = ()
    inlined: dict[str, str | None] = field(default_factory=dict)
    partials: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    source_changed: bool = False


def carry_over(  # noqa: PLR0913, PLR0917 - all that a publish knows by then
    message: PublishVersion,
    template: TemplateRow,
    previous: VersionRow | None,
    own: Compiled,
    variables: Stored,
    work: Work,
    is_carried: Callable[[str], bool],
) -> Carried:
    """Return which translations of the previous version pass the gate with the new one.

    ``is_carried`` is whether a language is to be taken over at all.

    Raises
    ------
    InvalidMessage
        The new version is in the language of one of them.
    """
    rows = translations.texts(work.session, previous.id) if previous is not None else []
    carried = Carried(languages=[row.language_code for row in rows])
    replaced = set(map(same_meaning, message.translations))
    rows = [row for row in rows if same_meaning(row.language_code) not in replaced]
    if previous is None or not rows:
        return carried
    before = Sources.of(previous)
    now = Sources.of(message)
    carried.source_changed = before != now
    given = [source for row in (now, *map(Sources.of, rows)) for source in row.given()]
    gate, candidates = Gate.of(work, template, given, carried=len(rows))
    room = work.configuration.limits.translations - len(message.translations)
    own_language = same_meaning(own.candidate.text["language"])
    is_new = same_meaning(candidates.language(previous.info)) != own_language
    for row in rows:
        language = row.language_code
        is_own = same_meaning(language) == own_language
        if is_own and is_new and is_carried(language) and not message.allow_dropped_translations:
            raise translated_already(language, previous.version)
        if is_own or not is_carried(language):
            carried.result.dropped.append(language)
            continue
        path = f"translations.{language}."
        if len(carried.result.carried) >= room:
            limit = work.configuration.limits.translations
            text = f"a version has at most {limit} translations"
            problems: list[Problem] = [problem(path[:-1], "too_large", text)]
            passed = None
        else:
            passed, problems = _carried_candidate(
                message, previous.format, row, own, gate, candidates, variables, work
            )
        if passed is None:
            carried.result.dropped.append(language)
            carried.problems += problems[:MOST_OF_TRANSLATION]
            continue
        carried.result.carried.append(language)
        body = passed.text["body"]
        carried.inlined[language] = body if message.is_rendered_otherwise else None
        carried.partials |= partials_of(Sources.of(row))
        if row.is_stale or carried.source_changed:
            carried.result.stale.append(language)
    return carried


def _carried_candidate(  # noqa: PLR0913, PLR0917 - all that a publish knows by then
    message: PublishVersion,
    previous_format: str | None,
    row: StoredText,
    own: Compiled,
    gate: Gate,
    candidates: Candidates,
    variables: Stored,
    work: Work,
) -> tuple[Candidate | None, list[Problem]]:
    """Return a stored translation as the new version renders it, or its problems."""
    path = f"translations.{row.language_code}."
    if previous_format != message.format:
        text = f"it is written in {previous_format or 'HTML'}, not in {message.format or 'HTML'}"
        return None, [problem(f"{path}body", "other_format", text)]
    renderer, limits = work.runtime.renderer, work.configuration.limits
    try:
        html = formatted(message.format, {path: Sources.of(row)}, renderer, limits)
    except TemplateSyntax as error:
        return None, error.details
    other = candidates.translation(own.candidate, row.language_code, html.texts[path], path)
    passed, problems = gate.carried_candidate(own, other, variables, inline_css=message.inline_css)
    return passed, html.placed(problems)


def dropped_languages(problems: Iterable[Problem]) -> list[str]:
    """Return the languages that problems of dropped translations are about, in order."""
    return list(dict.fromkeys(each["path"].split(".")[1] for each in problems))
