"""``version.publish``: compile, compare, try out, store."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from db.queries import partials, translations, versions
from db.queries.templates import TemplateRow
from db.queries.translations import Written
from db.queries.versions import Added, VersionRow
from tasks.errors import BreakingChange, Problem, VersionConflict, VersionExists, VersionNotDraft
from tasks.messages.versions import Change, PublishedVersion, PublishVersion
from tasks.rendering.changes import breaking_changes, removed_blocks
from tasks.rendering.partials import partials_of
from tasks.rendering.texts import Sources
from tasks.rendering.warnings import lost_languages, scheduled_versions
from tasks.services import graph
from tasks.services.candidates import Candidates, Compiled
from tasks.services.carrying import Carried, carry_over, dropped_languages
from tasks.services.code_users import require_safe_users
from tasks.services.examination import Examined, Submitted, examine
from tasks.services.expectations import (
    require_expected,
    schedule_condition,
    stored_version_digest,
)
from tasks.services.gate import Gate, Stored
from tasks.services.templates import existing
from tasks.work import Work


@dataclass(frozen=True, slots=True)
class Bundled:
    """Options of a publish within a bundle.

    ``carried`` are the languages to take over unchanged, whatever else the message says. After a
    breaking change of a partial, the bundle itself checks the templates that use it.
    """

    carried: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Passed:
    """The texts of a version that have passed the gate.

    ``mine`` and ``texts`` are the sources that were sent, ``examined`` has the sources to render,
    in the order of the message.
    """

    mine: Sources
    texts: Mapping[str, Sources]
    examined: Examined

    def sources(self) -> list[str]:
        """Return all sources."""
        return [source for text in (self.mine, *self.texts.values()) for source in text.given()]


def publish(
    message: PublishVersion, work: Work, bundled: Bundled | None = None
) -> PublishedVersion:
    """Insert a version and make it current, once its texts have passed the gate."""
    session = work.session
    connection = work.connection
    partials.lock_graph(connection, message.template_id)
    # The gate renders for up to seconds, so it comes before the row lock that other publishes of
    # the template wait for. A template's type never changes.
    passed = _passed(message, existing(work, message.template_id), work)
    own, variables = passed.examined.own, passed.examined.variables

    template = existing(work, message.template_id, lock=True)
    previous = require_expected(message, work, template)
    breaking = _breaking_changes(template, previous, variables, message.body)
    is_deferred = bundled is not None and template.type == "partial"
    if template.type == "partial" and message.is_activated_now and not is_deferred:
        bodies = [text.body for text in (passed.mine, *passed.texts.values())]
        require_safe_users(work, template, bodies, previous)
    if breaking and not (message.allow_breaking or is_deferred):
        assert previous is not None  # noqa: S101 - for the type checker: there is what breaks
        raise breaking_change(work, template, previous.version, breaking)
    is_carried = _carried_languages(message, bundled)
    carry = carry_over(message, template, previous, own, variables, work, is_carried)
    _require_carried(message, previous, carry)
    draft = _replaced(message, template, work)
    # Nothing is written before this, and nothing is refused after it: a bundle relies on that.
    if draft is not None:
        versions.remove(session, draft.id)
    version = _stored(message, template, passed, work)
    if previous is not None and carry.inlined:
        translations.carry(
            connection,
            previous.id,
            version.id,
            carry.inlined,
            source_changed=carry.source_changed,
        )
    partials.add_uses(connection, version.id, partials_of(passed.sources()) | carry.partials)
    lost = _lost(message, passed.examined.candidates, previous, own, carry)
    return PublishedVersion(
        template_id=message.template_id,
        version=version.version,
        version_id=str(version.id),
        previous_version=previous.version if previous is not None else None,
        is_current=message.is_activated_now,
        activate_at=message.activate_at,
        variables=variables,
        translations=carry.result,
        breaking=[Change.model_validate(problem) for problem in breaking],
        warnings=[*passed.examined.warnings, *lost, *scheduled_versions(version.upcoming)],
    )


def _passed(message: PublishVersion, template: TemplateRow, work: Work) -> _Passed:
    """Return the texts of a message, once they have passed the gate."""
    mine = Sources.of(message)
    texts = {language: Sources.of(text) for language, text in message.translations.items()}
    submitted = Submitted(
        type=template.type,
        own=mine,
        translations=texts,
        format=message.format,
        inline_css=message.inline_css,
        variables=None if message.variables is None else [e.stored() for e in message.variables],
        metadata=message.metadata,
    )
    passed = examine(
        submitted, work.runtime.renderer, lambda sources: Gate.of(work, template, sources)
    )
    return _Passed(mine, texts, passed)


def _stored(message: PublishVersion, template: TemplateRow, passed: _Passed, work: Work) -> Added:
    """Insert a version with its translations; its name is free."""

    def rendered(text: Compiled) -> str | None:
        return text.candidate.text["body"] if message.is_rendered_otherwise else None

    version = versions.add(
        work.session,
        template_id=template.id,
        name=message.version,
        is_current=message.is_activated_now,
        activate_at=message.activate_at,
        activate_expected=_activate_expected(message),
        **passed.mine._asdict(),
        format=message.format,
        inline_css=message.inline_css,
        inlined_body=rendered(passed.examined.own),
        variables=passed.examined.variables,
        info=message.metadata,
    )
    assert version is not None  # noqa: S101 - for the type checker: the template's row is locked
    for (language, text), compiled in zip(passed.texts.items(), passed.examined.given, strict=True):
        row = Written(*text, inlined=rendered(compiled))
        translations.upsert(work.connection, version.id, language, row)
    return version


def _lost(
    message: PublishVersion,
    candidates: Candidates,
    previous: VersionRow | None,
    own: Compiled,
    carry: Carried,
) -> Iterator[dict[str, Any]]:
    """Yield a warning for each language that only the previous version has."""
    if previous is None:
        return
    before = candidates.language(previous.info)
    now = {own.candidate.text["language"], *message.translations, *carry.result.carried}
    yield from lost_languages([before, *carry.languages], now)


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
        f"{languages}; send them in translations, or set allow_dropped_translations to drop them",
        carry.problems,
    )


def _breaking_changes(
    template: TemplateRow, previous: VersionRow | None, variables: Stored, body: str
) -> list[Problem]:
    """Return the changes that break producers of the current version, or users of a partial."""
    if previous is None:
        return []
    problems = breaking_changes(previous.variables, variables)
    if template.type == "partial":
        problems += removed_blocks(previous.body, body)
    return problems


def breaking_change(
    work: Work, template: TemplateRow, previous: str, problems: Iterable[Problem]
) -> BreakingChange:
    """Return the error of a version that breaks producers of the ``previous`` one."""
    users = graph.users(work, template)
    by = f" (used by {', '.join(users)})" if users else ""
    return BreakingChange.of(
        f"the version breaks producers of version '{previous}' of "
        f"'{template.template_id}'{by}; set allow_breaking to publish it",
        problems,
    )


def _carried_languages(message: PublishVersion, bundled: Bundled | None) -> Callable[[str], bool]:
    kept = bundled.carried if bundled is not None else frozenset()
    return lambda language: message.carry_translations or language in kept


def _activate_expected(message: PublishVersion) -> str | None:
    return None if message.activate_at is None else schedule_condition(message.expected_version)


def _replaced(message: PublishVersion, template: TemplateRow, work: Work) -> VersionRow | None:
    """Return the draft that the message replaces, if any; else make sure that its name is free.

    Raises
    ------
    VersionExists
        There is a version of that name, which the message does not replace.
    VersionNotDraft
        The version was current at some time.
    VersionConflict
        The draft is not the expected one.
    """
    if message.version is None:
        return None
    draft = versions.find(work.session, template.id, message.version)
    if not message.replace_draft:
        if draft is not None:
            raise VersionExists.named(template.template_id, draft.version)
        return None
    if draft is not None and not draft.is_draft:
        raise VersionNotDraft.named(template.template_id, draft.version)
    if message.expected_draft is not None:
        actual = stored_version_digest(work, draft) if draft is not None else ""
        if actual != message.expected_draft:
            name = draft.version if draft is not None else None
            raise VersionConflict.of_digests(
                template.template_id, message.expected_draft, actual, name, "expected_draft"
            )
    return draft
