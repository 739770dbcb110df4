"""``version.publish``: compile, compare, try out, store."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from db import models
from db.queries import partials, translations, versions
from db.queries.versions import VersionRow
from db.session import driver_connection
from tasks.errors import BreakingChange, Problem, VersionExists
from tasks.messages.versions import CarriedTranslations, Change, PublishedVersion, PublishVersion
from tasks.rendering.changes import breaking_changes
from tasks.rendering.partials import every_block, partials_of
from tasks.rendering.warnings import lost_languages
from tasks.services import graph
from tasks.services.candidates import Candidates, Compiled
from tasks.services.gate import Gate, Stored
from tasks.services.templates import existing
from tasks.services.versions import require_expected
from tasks.work import Work


def publish(message: PublishVersion, work: Work) -> PublishedVersion:
    """Insert a version and make it current, once its texts have passed the gate."""
    session = work.session
    connection = driver_connection(session)
    texts = message.translations.items()
    sources = [message.subject, message.body]
    sources += [source for _, text in texts for source in (text.subject, text.body)]
    partials.lock_graph(connection, message.template_id)
    template = existing(work, message.template_id)

    # The gate renders for up to seconds, so it comes before the row lock that other publishes of
    # the template wait for. A template's type never changes.
    gate, candidates = Gate.of(work, template, sources)
    candidate = candidates.own(message.subject, message.body, message.metadata)
    others = [
        candidates.translation(
            candidate, language, text.subject, text.body, f"translations.{language}."
        )
        for language, text in texts
    ]
    own, *given = gate.compile([candidate, *others])
    declared = None if message.variables is None else [each.stored() for each in message.variables]
    variables = gate.compare(own, given, declared)
    gate.try_out([own, *given], variables)
    adviser = gate.adviser()
    warned = [
        *adviser.unused([own, *given], [each["name"] for each in declared or ()], "variables"),
        *adviser.sources([own, *given]),
        *adviser.outputs([own, *given], variables),
    ]

    template = existing(work, message.template_id, lock=True)
    previous = versions.find(session, template.id, None)
    require_expected(message.template_id, message.expected_version, previous)
    breaking = _breaking_changes(message, template, previous, variables, work)
    carry = _carry_over(message, template, previous, own, variables, work)

    version = versions.add(
        session,
        template_id=template.id,
        name=message.version,
        is_current=message.activate,
        subject=message.subject,
        body=message.body,
        variables=variables,
        info=message.metadata,
    )
    if version is None:
        raise VersionExists.named(message.template_id, str(message.version))
    for language, text in texts:
        translations.upsert(connection, version.id, language, text.subject, text.body)
    if previous is not None and carry.result.carried:
        translations.carry(
            connection,
            previous.id,
            version.id,
            carry.result.carried,
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
    before = candidates.stored(None, "", previous.info).text["language"]
    now = {own.candidate.text["language"], *message.translations, *carried.carried}
    yield from lost_languages([before, *(language for language, _ in states)], now)


class _Carried(NamedTuple):
    """The translations of the previous version that the new one takes over."""

    result: CarriedTranslations
    partials: set[str]
    source_changed: bool


def _carry_over(  # noqa: PLR0913, PLR0917 - all that a publish knows by then
    message: PublishVersion,
    template: models.Template,
    previous: VersionRow | None,
    own: Compiled,
    variables: Stored,
    work: Work,
) -> _Carried:
    """Return which translations of the previous version pass the gate with the new one."""
    result = CarriedTranslations(carried=[], stale=[], dropped=[])
    rows = translations.texts(work.session, previous.id) if previous is not None else []
    rows = [row for row in rows if row.language_code not in message.translations]
    if previous is None or not rows:
        return _Carried(result, set(), source_changed=False)
    source_changed = (previous.subject, previous.body) != (message.subject, message.body)
    sources = [message.subject, message.body]
    sources += [source for row in rows for source in (row.subject, row.body)]
    gate, candidates = Gate.of(work, template, sources, carried=len(rows))
    used: set[str] = set()
    room = work.configuration.limits.translations - len(message.translations)
    for row in rows:
        language = row.language_code
        other = candidates.translation(
            own.candidate, language, row.subject, row.body, f"{language}."
        )
        if (
            not message.carry_translations
            or language == own.candidate.text["language"]
            or len(result.carried) >= room
            or not gate.fits(own, other, variables)
        ):
            result.dropped.append(language)
            continue
        result.carried.append(language)
        used |= partials_of(source for _, source, _ in other.sources())
        if row.is_stale or source_changed:
            result.stale.append(language)
    return _Carried(result, used, source_changed)


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
