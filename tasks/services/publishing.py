"""``version.publish``: compile, compare, try out, store."""

from collections.abc import Iterator
from typing import Any

from db import models
from db.queries import partials, translations, versions
from db.queries.translations import Written
from db.queries.versions import VersionRow
from db.session import driver_connection
from tasks.errors import BreakingChange, Problem, VersionExists
from tasks.messages.versions import CarriedTranslations, Change, PublishedVersion, PublishVersion
from tasks.rendering.changes import breaking_changes
from tasks.rendering.partials import every_block, partials_of
from tasks.rendering.texts import Sources
from tasks.rendering.warnings import lost_languages
from tasks.services import graph
from tasks.services.candidates import Candidates, Compiled
from tasks.services.carrying import Carried, carry_over, dropped_languages
from tasks.services.gate import Gate, Stored
from tasks.services.outputs import require_other_languages, require_parts
from tasks.services.templates import existing
from tasks.services.versions import require_expected
from tasks.work import Work


def publish(message: PublishVersion, work: Work) -> PublishedVersion:
    """Insert a version and make it current, once its texts have passed the gate."""
    session = work.session
    connection = driver_connection(session)
    mine = Sources(message.subject, message.body, message.text, message.preheader)
    texts = {
        language: Sources(text.subject, text.body, text.text, text.preheader)
        for language, text in message.translations.items()
    }
    sources = [source for text in (mine, *texts.values()) for source in text.given()]
    partials.lock_graph(connection, message.template_id)
    template = existing(work, message.template_id)
    paths = {f"translations.{language}.": text for language, text in texts.items()}
    require_parts(template.type, [("", mine), *paths.items()], inline_css=message.inline_css)

    # The gate renders for up to seconds, so it comes before the row lock that other publishes of
    # the template wait for. A template's type never changes.
    gate, candidates = Gate.of(work, template, sources)
    candidate = candidates.own(mine, message.metadata)
    require_other_languages(candidate.text["language"], texts, "translations")
    others = [
        candidates.translation(candidate, language, text, f"translations.{language}.")
        for language, text in texts.items()
    ]
    as_sent = gate.compile([candidate, *others])
    own, *given = as_sent
    declared = None if message.variables is None else [each.stored() for each in message.variables]
    variables = gate.compare(own, given, declared)
    if message.inline_css:
        own, *given = gate.inline([own, *given])
    gate.try_out([own, *given], variables)
    adviser = gate.adviser()
    warned = [
        *adviser.unused(as_sent, [each["name"] for each in declared or ()], "variables"),
        *adviser.sources(as_sent),
        *adviser.outputs([own, *given], variables),
    ]

    template = existing(work, message.template_id, lock=True)
    previous = versions.find(session, template.id, None)
    require_expected(message.template_id, message.expected_version, previous)
    breaking = _breaking_changes(message, template, previous, variables, work)
    carry = carry_over(message, template, previous, own, variables, work)
    _require_carried(message, previous, carry)

    def inlined(text: Compiled) -> str | None:
        return text.candidate.text["body"] if message.inline_css else None

    version = versions.add(
        session,
        template_id=template.id,
        name=message.version,
        is_current=message.activate,
        **mine._asdict(),
        inline_css=message.inline_css,
        inlined_body=inlined(own),
        variables=variables,
        info=message.metadata,
    )
    if version is None:
        raise VersionExists.named(message.template_id, str(message.version))
    for (language, text), compiled in zip(texts.items(), given, strict=True):
        row = Written(*text, inlined=inlined(compiled))
        translations.upsert(connection, version.id, language, row)
    if previous is not None and carry.inlined:
        translations.carry(
            connection,
            previous.id,
            version.id,
            carry.inlined,
            source_changed=carry.source_changed,
        )
    partials.add_uses(connection, version.id, partials_of(sources) | carry.partials)
    return PublishedVersion(
        template_id=message.template_id,
        version=version.version,
        version_id=str(version.id),
        previous_version=previous.version if previous is not None else None,
        is_current=message.activate,
        variables=variables,
        translations=carry.result,
        breaking=[Change.model_validate(problem) for problem in breaking],
        warnings=[*warned, *_lost(message, candidates, previous, own, carry.result, work)],
    )


def _lost(  # noqa: PLR0913, PLR0917 - all that a publish knows by then
    message: PublishVersion,
    candidates: Candidates,
    previous: VersionRow | None,
    own: Compiled,
    carried: CarriedTranslations,
    work: Work,
) -> Iterator[dict[str, Any]]:
    """Yield a warning for each language that only the previous version has."""
    if previous is None:
        return
    states = translations.states(work.session, [previous.id]).get(previous.id, [])
    before = candidates.language(previous.info)
    now = {own.candidate.text["language"], *message.translations, *carried.carried}
    yield from lost_languages([before, *(language for language, _ in states)], now)


def _require_carried(message: PublishVersion, previous: VersionRow | None, carry: Carried) -> None:
    """Make sure that no language is lost, unless the message allows it.

    Raises
    ------
    BreakingChange
        Translations of the current version do not fit, and readers would get another language.
    """
    if previous is None or not carry.problems or message.allow_dropped_translations:
        return
    languages = ", ".join(dropped_languages(carry.problems))
    raise BreakingChange.of(
        f"translations of version '{previous.version}' of '{message.template_id}' no longer fit: "
        f"{languages}; send them in translations, or allow_dropped_translations drops them",
        carry.problems,
    )


def _breaking_changes(
    message: PublishVersion,
    template: models.Template,
    previous: VersionRow | None,
    variables: Stored,
    work: Work,
) -> list[Problem]:
    """Return what breaks producers of the current version, where the message allows it.

    Raises
    ------
    BreakingChange
        The message does not.
    """
    if previous is None:
        return []
    problems = breaking_changes(previous.variables, variables)
    if template.type == "partial":
        # The text of a block that a layout no longer has would not be shown any more.
        gone = every_block(previous.body) - every_block(message.body)
        problems += [
            {"path": "body", "type": "block_gone", "message": f"block '{name}' is gone"}
            for name in sorted(gone)
        ]
    if problems and not message.allow_breaking:
        users = graph.users(work, template)
        by = f" (used by {', '.join(users)})" if users else ""
        raise BreakingChange.of(
            f"the version breaks producers of version '{previous.version}' of "
            f"'{message.template_id}'{by}; allow_breaking lets it pass",
            problems,
        )
    return problems
