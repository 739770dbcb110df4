"""One template of a bundle: its stored state, its wanted state and the result."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from db.queries import translations, versions
from db.queries.templates import TemplateRow
from db.queries.translations import StoredText
from db.queries.versions import VersionRow
from tasks.errors import Problem, ServiceError
from tasks.messages.bundles import BundledTemplate
from tasks.messages.templates import CHANGEABLE
from tasks.messages.versions import CarriedTranslations, NewVersion, PublishedVersion
from tasks.rendering.digests import is_equal, version_digest
from tasks.rendering.texts import Sources
from tasks.services import views
from tasks.work import Work

MOST_OF_TEMPLATE: Final = 20
"""Problems, and warnings, that an answer lists for each of its templates."""

_OWN_PATHS: Final = ("template_id", "name", "type", "is_active", "expected_")


@dataclass(slots=True)
class Entry:
    """A template of a bundle.

    ``index`` is its place in the message; ``message`` is None for one that is invalid. ``row`` and
    ``before`` are the stored template and its current version, with the texts of the
    version's translations; ``digests`` has the versions that a publish need not repeat: the current
    one, and for a draft the newest draft. ``repeated`` is the one of them that has the contents of
    the message.
    """

    index: int
    template_id: str | None
    message: BundledTemplate | None = None
    row: TemplateRow | None = None
    before: VersionRow | None = None
    texts: Sequence[StoredText] = ()
    digests: Mapping[str, VersionRow] = field(default_factory=dict)
    is_new: bool = False
    fields: list[str] = field(default_factory=list)
    published: PublishedVersion | None = None
    repeated: VersionRow | None = None
    rescheduled: tuple[VersionRow, datetime] | None = None
    conflict: ServiceError | None = None
    users: list[dict[str, Any]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The template_id of a valid entry."""
        return self.template_id or ""

    @property
    def given(self) -> BundledTemplate:
        """The message of a valid entry."""
        assert self.message is not None  # noqa: S101 - for the type checker: the entry is valid
        return self.message

    @property
    def template(self) -> TemplateRow:
        """The row of an entry that was opened."""
        assert self.row is not None  # noqa: S101 - for the type checker: the entry is open
        return self.row

    @property
    def version(self) -> NewVersion | None:
        """The version to publish, if any."""
        return self.message.version if self.message is not None else None

    @property
    def changes(self) -> bool:
        """Whether anything is written."""
        return (
            self.is_new
            or bool(self.fields)
            or self.published is not None
            or self.rescheduled is not None
        )

    @property
    def changes_partial(self) -> bool:
        """Whether the text of a partial, as others include it, changes."""
        return self.changes_current and self.message is not None and self.message.type == "partial"

    @property
    def changes_current(self) -> bool:
        """Whether another version becomes current."""
        return self.published is not None and self.published.is_current

    def refuse(self, error: ServiceError) -> None:
        """Record the problems of an error, with their paths in the bundle."""
        details = error.details or [{"path": "", "type": str(error.code), "message": error.message}]
        for each in details[:MOST_OF_TEMPLATE]:
            self.problems.append(self._located(each, error.args[0]))

    def read(self, work: Work, row: TemplateRow) -> None:
        """Read the stored state of the template, which is locked."""
        self.row = row
        self.before = versions.find(work.session, row.id, None)
        if self.before is not None:
            self.texts = translations.texts(work.session, self.before.id)
        stored = views.own_fields(row)
        if not self.is_new:
            self.fields = [
                name for name in CHANGEABLE if not is_equal(stored[name], getattr(self.given, name))
            ]
        self.digests = dict(self._stored_digests(work, row))

    def _stored_digests(self, work: Work, row: TemplateRow) -> Iterable[tuple[str, VersionRow]]:
        if self.version is not None and not self.version.is_activated_now:
            draft = versions.newest_draft(work.session, row.id)
            if draft is not None:
                texts = translations.texts(work.session, draft.id)
                yield version_digest(views.contents(draft, texts)), draft
        if self.before is not None:
            yield version_digest(views.contents(self.before, self.texts)), self.before

    def stored(self) -> VersionRow | None:
        """Return a version with the contents that are to be published, None if there is none.

        Without declared variables the result is None: only the gate can infer them.
        """
        new = self.version
        if new is None or new.variables is None:
            return None
        return self.digests.get(version_digest(self._contents(new)))

    def same_translations(self) -> frozenset[str]:
        """Return the languages whose sent texts equal the stored ones."""
        if self.version is None:
            return frozenset()
        given = self.version.translations
        return frozenset(
            language
            for language, text in self._stored_texts().items()
            if language in given and Sources.of(given[language]) == text
        )

    def _contents(self, new: NewVersion) -> dict[str, Any]:
        texts = self._stored_texts() if new.carry_translations else {}
        texts |= {language: Sources.of(text) for language, text in new.translations.items()}
        return {
            **Sources.of(new)._asdict(),
            "format": new.format,
            "inline_css": new.inline_css,
            "variables": [each.stored() for each in new.variables or ()],
            "metadata": new.metadata,
            "translations": {language: text._asdict() for language, text in texts.items()},
        }

    def _stored_texts(self) -> dict[str, Sources]:
        return {text.language_code: Sources.of(text) for text in self.texts}

    def _located(self, problem: Problem, code: str) -> Problem:
        path = problem["path"]
        if self.message is not None and not path.startswith(_OWN_PATHS):
            path = f"version.{path}" if path else "version"
        place = f"templates[{self.index}]" + (f".{path}" if path else "")
        located = problem | {"path": place, "code": str(code)}
        if self.template_id is not None:
            located["template_id"] = self.template_id
        return located

    def translations(self) -> CarriedTranslations:
        """Return what becomes of translations that the bundle does not change."""
        if self.published is None:
            return CarriedTranslations(carried=[], stale=[], dropped=[])
        return self.published.translations
