"""``bundle.apply``: a set of templates, all of them or none.

Each template takes the steps of a publish of its own, partials before their users. A publish that
is refused has written nothing, so that all problems of all templates are found; a dry run is the
same work, undone.
"""

import time
from typing import Any

from db.queries import partials, templates, versions
from db.queries.versions import VersionRow
from tasks.errors import (
    BundleRefused,
    InvalidMessage,
    RenderLimitExceeded,
    ServiceError,
    TemplateExists,
    VersionConflict,
    problem,
)
from tasks.messages.base import parse
from tasks.messages.bundles import AppliedBundle, AppliedTemplate, ApplyBundle, BundledTemplate
from tasks.messages.fields import TEMPLATE_ID
from tasks.messages.versions import NewVersion, PublishVersion
from tasks.services import graph, publishing
from tasks.services.bundle_entries import MOST_OF_TEMPLATE, Entry
from tasks.services.bundle_order import ordered
from tasks.services.bundle_users import Users
from tasks.services.expectations import (
    require_expected,
    schedule_condition,
    stored_digest,
    stored_version_digest,
)
from tasks.services.publishing import Bundled
from tasks.work import Work


def apply(message: ApplyBundle, work: Work) -> AppliedBundle:
    """Create and change templates; a refusal of one refuses all.

    Raises
    ------
    BundleRefused
        With the problems of all templates; a dry run has them in its answer.
    """
    entries = [_entry(index, given, work) for index, given in enumerate(message.templates)]
    _refuse_doubles(entries)
    savepoint = work.session.begin_nested()
    _Bundle(entries, work).run()
    applied = [_applied(entry, work) for entry in entries]
    problems = [each for entry in entries for each in entry.problems]
    if message.dry_run or problems:
        savepoint.rollback()
    else:
        savepoint.commit()
    if problems and not message.dry_run:
        refused = [entry.template_id or "?" for entry in entries if entry.problems]
        raise BundleRefused.of(
            f"{len(refused)} of {len(entries)} templates are refused, nothing is stored: "
            f"{', '.join(refused[:10])}",
            problems,
        )
    actions = [each.action for each in applied]
    return AppliedBundle(
        dry_run=message.dry_run,
        applied=not message.dry_run,
        added=actions.count("added"),
        changed=actions.count("changed"),
        unchanged=actions.count("unchanged"),
        refused=actions.count("refused"),
        templates=applied,
    )


class _Bundle:
    """The templates of one message."""

    def __init__(self, entries: list[Entry], work: Work) -> None:
        self._entries = [entry for entry in entries if entry.message is not None]
        self._refused = {entry.id for entry in entries if entry.problems}
        self._work = work
        self._deadline = time.monotonic() + work.configuration.limits.batch_seconds
        self._ids = {entry.id for entry in entries}

    def run(self) -> None:
        """Write the changes, and record the problems."""
        connection = self._work.connection
        with_partials = any(entry.given.type == "partial" for entry in self._entries)
        partials.lock_graph_of_many(connection, with_partials=with_partials)
        for entry in sorted(self._entries, key=lambda each: each.id):
            self._open(entry)
        order = ordered([entry for entry in self._entries if entry.row is not None], connection)
        self._refused |= {entry.id for entry in self._entries if entry.problems}
        for entry, uses in order:
            self._write(entry, sorted(self._refused & uses))
            if entry.problems:
                self._refused.add(entry.id)
        for entry in self._entries:
            self._switch_off(entry)
        published = {entry.id for entry in self._entries if entry.changes_current}
        # Refused, but with the text that is stored.
        unchanged = {entry.id for entry in self._entries if entry.version is None}
        users = Users(self._work, self._deadline, self._ids)
        for entry, _ in order:
            if entry.changes_partial:
                users.check(entry, published, self._refused - unchanged)

    def _open(self, entry: Entry) -> None:
        """Lock the row of a template, created if there is none, and read what is stored."""
        given, session = entry.given, self._work.session
        row = templates.find(session, entry.id, lock=True, deleted=True)
        if row is None:
            row = templates.add(
                session,
                template_id=entry.id,
                name=given.name,
                type=given.type,
                description=given.description,
                category=given.category,
                is_active=given.is_active,
                info=given.metadata,
            )
            entry.is_new = row is not None
            # Inserted by another transaction since, which has committed: the row is there now.
            row = row or templates.find(session, entry.id, lock=True, deleted=True)
        if row is None or row.deleted_at is not None:
            entry.refuse(TemplateExists.named(entry.id, deleted=True))
            return
        if row.type != given.type:
            message = f"template '{entry.id}' has the type '{row.type}', which cannot change"
            remedy = f"expected '{row.type}': give another type another template_id"
            entry.refuse(InvalidMessage.at("type", "type_changed", message, remedy))
            return
        entry.read(self._work, row)
        try:
            require_expected(given, self._work, row)
        except VersionConflict as conflict:
            entry.conflict = conflict

    def _write(self, entry: Entry, refused: list[str]) -> None:
        """Change the fields of a template, and publish its version."""
        early = [name for name in entry.fields if name != "is_active" or entry.given.is_active]
        if early:
            _change(entry, early, self._work)
        if entry.version is not None and (stored := entry.stored()) is None:
            stored = self._published(entry, entry.version, refused)
        if entry.version is not None and stored is not None:
            entry.repeated = stored
            self._reschedule(entry, entry.version, stored)
        if entry.conflict is not None and (entry.changes or entry.problems):
            found, entry.problems = entry.problems, []
            entry.refuse(entry.conflict)
            entry.problems += found

    def _published(self, entry: Entry, new: NewVersion, refused: list[str]) -> VersionRow | None:
        """Publish a version; return the stored one that it repeats, if it does."""
        if time.monotonic() > self._deadline:
            seconds = self._work.configuration.limits.batch_seconds
            entry.refuse(
                RenderLimitExceeded.at(
                    "",
                    "limit",
                    f"the bundle took more than {seconds:g} s",
                    f"the bundle took more than {seconds:g} s: send fewer templates in each",
                )
            )
            return None
        kept = entry.same_translations()
        fields = {name: getattr(new, name) for name in NewVersion.model_fields}
        fields["translations"] = {
            language: text for language, text in new.translations.items() if language not in kept
        }
        # The condition was checked before anything was written; a schedule checks it again, then.
        later = entry.given.expected_version if entry.conflict is None else None
        message = PublishVersion.model_construct(
            **fields,
            template_id=entry.id,
            expected_version=later if new.activate_at is not None else None,
        )
        # Only inferred variables may turn out to equal the stored ones. Other publishes get no
        # savepoint: with more than 64 in a transaction, snapshots of all sessions become slower.
        savepoint = self._work.session.begin_nested() if new.variables is None else None
        try:
            published = publishing.publish(message, self._work, Bundled(carried=kept))
        except ServiceError as error:
            if savepoint is not None:
                savepoint.rollback()
            entry.refuse(_of_itself(error, refused))
            return None
        if savepoint is not None:
            if (stored := self._repeated(entry, published.version)) is not None:
                savepoint.rollback()
                return stored
            savepoint.commit()
        entry.published = published
        if refused:
            entry.refuse(_of_itself(None, refused))
        return None

    def _repeated(self, entry: Entry, name: str) -> VersionRow | None:
        """Return the earlier version with the published contents; None if there is none."""
        version = versions.find(self._work.session, entry.template.id, name)
        assert version is not None  # noqa: S101 - for the type checker: it was published
        return entry.digests.get(stored_version_digest(self._work, version))

    def _reschedule(self, entry: Entry, new: NewVersion, draft: VersionRow) -> None:
        """Set the time of a draft that is stored already."""
        if not draft.is_draft or new.activate_at in {None, draft.activate_at}:
            return
        assert new.activate_at is not None  # noqa: S101 - for the type checker: there is a time
        expected = schedule_condition(entry.given.expected_version)
        versions.schedule(self._work.session, draft.id, new.activate_at, expected)
        entry.rescheduled = (draft, new.activate_at)

    def _switch_off(self, entry: Entry) -> None:
        """Switch a template off, after the bundle has changed the templates that used it."""
        if "is_active" not in entry.fields or entry.given.is_active:
            return
        try:
            graph.require_unused(self._work, entry.template)
        except ServiceError as error:
            entry.refuse(error)
        else:
            _change(entry, ["is_active"], self._work)


def _entry(index: int, given: object, work: Work) -> Entry:
    """Return a template of the bundle, with its problems if it is invalid."""
    if not isinstance(given, dict):
        entry = Entry(index, None)
        entry.refuse(InvalidMessage.at("", "object", "expected an object with template_id"))
        return entry
    name = given.get("template_id")
    template_id = name if isinstance(name, str) and TEMPLATE_ID.match(name) else None
    entry = Entry(index, template_id)
    try:
        entry.message = parse(BundledTemplate, given, work.configuration.limits)
    except ServiceError as error:
        entry.refuse(error)
    return entry


def _refuse_doubles(entries: list[Entry]) -> None:
    """Refuse templates that the message contains twice."""
    first: dict[str, int] = {}
    for entry in entries:
        if entry.template_id is None:
            continue
        before = first.setdefault(entry.template_id, entry.index)
        if before != entry.index:
            entry.message = None
            message = f"'{entry.template_id}' is templates[{before}] already"
            entry.refuse(InvalidMessage.at("template_id", "declared_twice", message))


def _of_itself(error: ServiceError | None, refused: list[str]) -> ServiceError:
    """Return the problems of a template that do not depend on the refused partials."""
    if not refused:
        assert error is not None  # noqa: S101 - for the type checker: without one there is nothing
        return error
    own = [each for each in error.details if "line" in each] if error is not None else []
    own = [each for each in own if each["type"] not in _OF_PARTIALS]
    names = ", ".join(f"'{name}'" for name in refused)
    note = problem("", "partial_refused", f"not checked with {names}, which the bundle changes")
    kind = type(error) if own and error is not None else BundleRefused
    return kind.of(note["message"], [*own, note])


_OF_PARTIALS = frozenset(
    {
        "partial_not_found",
        "partial_cycle",
        "unknown_block",
        "unsafe_placeholder",
        "undeclared",
        "undefined",
        "added",
    }
)
"""Types of problems that a refused partial may be the cause of."""


def _change(entry: Entry, names: list[str], work: Work) -> None:
    columns = {"info" if name == "metadata" else name: getattr(entry.given, name) for name in names}
    entry.row = templates.change(work.session, entry.template, **columns)


def _applied(entry: Entry, work: Work) -> AppliedTemplate:
    """Return the answer's entry for a template."""
    published, row = entry.published, entry.row
    current = versions.find(work.session, row.id, None) if row is not None else None
    shown = (
        {
            "version": published.version,
            "version_id": published.version_id,
            "previous_version": published.previous_version,
            "is_current": published.is_current,
            "activate_at": published.activate_at,
        }
        if published is not None
        else _about_stored(entry)
    )
    return AppliedTemplate(
        template_id=entry.template_id,
        type=entry.message.type if entry.message is not None else None,
        action=_action(entry),
        fields=entry.fields,
        digest=stored_digest(work, row, current) if row is not None else None,
        translations=entry.translations(),
        breaking=published.breaking if published is not None else [],
        users=entry.users,
        warnings=published.warnings[:MOST_OF_TEMPLATE] if published is not None else [],
        problems=[dict(each) for each in entry.problems],
        **shown,
    )


def _about_stored(entry: Entry) -> dict[str, Any]:
    version = entry.repeated or entry.before
    activate_at = None if entry.repeated is None else entry.repeated.activate_at
    if entry.rescheduled is not None:
        version, activate_at = entry.rescheduled
    return {
        "version": version.version if version is not None else None,
        "version_id": str(version.id) if version is not None else None,
        "previous_version": entry.before.version if entry.before is not None else None,
        "is_current": version is not None and version.is_current,
        "activate_at": activate_at,
    }


def _action(entry: Entry) -> Any:  # noqa: ANN401 - a literal
    if entry.problems:
        return "refused"
    if entry.is_new:
        return "added"
    return "changed" if entry.changes else "unchanged"
