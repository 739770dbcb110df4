"""Messages and results of ``version.*``."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

from tasks.messages.base import ConditionalWrite, Message, Result, WriteMessage
from tasks.messages.described import described, items_are
from tasks.messages.fields import (
    Body,
    Digest,
    LanguageCode,
    Moment,
    OwnText,
    Preheader,
    SourceFormat,
    Subject,
    TemplateId,
    VersionName,
    canonical_language,
    limits_of,
    too_many,
)
from tasks.messages.metadata import VersionMetadata
from tasks.messages.variables import Declarations, Variables
from tasks.rendering.limits import Limits


def _unique_languages(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    seen: dict[str, str] = {}
    for key in value:
        try:
            canonical = canonical_language(key)
        except (ValueError, TypeError, AttributeError):
            continue  # the key's own validation explains it
        if canonical in seen:
            raise PydanticCustomError(
                "same_language",
                "'{one}' and '{other}' are the same language",
                {"one": seen[canonical], "other": key},
            )
        seen[canonical] = key
    return value


class Text(BaseModel):
    """The sources of one language; a missing subject is the version's.

    A missing ``text`` is derived from the body, and without ``preheader`` there is none: neither is
    taken from another language.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    subject: Subject | None = None
    body: Body
    text: OwnText | None = None
    preheader: Preheader | None = None


def _few_enough(value: dict[str, Text], info: ValidationInfo) -> dict[str, Text]:
    too_many(len(value), limits_of(info).translations, "translations")
    return value


Translations = Annotated[
    dict[LanguageCode, Text],
    BeforeValidator(_unique_languages),
    AfterValidator(_few_enough),
    described(maxProperties=Limits().translations, x_limit="translations"),
]
Warned = Annotated[list[dict[str, Any]], items_are("TextWarning")]


class NewVersion(BaseModel):
    """The contents of a version, and how it is published.

    ``variables`` left out are inferred from the sources. ``text`` is the text part of an e-mail
    (left out, it is derived from the body), ``preheader`` the line that inboxes show after the
    subject. ``format`` is the language in which bodies are written, HTML or text where it is left
    out. ``inline_css`` writes the rules of ``<style>`` into the elements that they select.

    ``carry_translations`` takes over the previous version's translations that the message lacks,
    ``allow_breaking`` lets changes pass that producers must follow, and
    ``allow_dropped_translations`` drops the translations that no longer fit. Without ``activate``
    the version is a draft; with ``activate_at`` it becomes current then. ``replace_draft`` replaces
    the draft named ``version``, whose digest may have to be ``expected_draft``.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    body: Body
    subject: Subject | None = None
    text: OwnText | None = None
    preheader: Preheader | None = None
    format: SourceFormat | None = None
    inline_css: bool = False
    variables: Variables | None = None
    metadata: VersionMetadata = Field(default_factory=dict)
    version: VersionName | None = None
    translations: Translations = Field(default_factory=dict)
    carry_translations: bool = True
    activate: bool = True
    activate_at: Moment | None = None
    allow_breaking: bool = False
    allow_dropped_translations: bool = False
    replace_draft: bool = False
    expected_draft: Digest | None = None

    @model_validator(mode="after")
    def _a_draft_is_named(self) -> Self:
        if self.replace_draft and self.version is None:
            raise PydanticCustomError(
                "draft_unnamed", "replace_draft needs the name of the draft, in version"
            )
        if self.expected_draft is not None and not self.replace_draft:
            raise PydanticCustomError(
                "draft_unnamed", "expected_draft requires replace_draft: true"
            )
        return self

    @property
    def is_activated_now(self) -> bool:
        """Whether the version becomes current when it is published."""
        return self.activate and self.activate_at is None

    @property
    def is_rendered_otherwise(self) -> bool:
        """Whether bodies are rendered in another form than they were sent in."""
        return self.inline_css or self.format is not None


class _OfTemplate(ConditionalWrite):
    """A write to one template; its problems are reported in the order of the fields."""

    template_id: TemplateId


class PublishVersion(NewVersion, _OfTemplate):
    """``version.publish``: insert an immutable version and, by default, make it current."""


class ActivateVersion(_OfTemplate):
    """``version.activate``: make a version current, to roll back or forward, now or later."""

    version: VersionName
    activate_at: Moment | None = None


class UnscheduleVersion(WriteMessage):
    """``version.unschedule``: forget when a version was to become current."""

    template_id: TemplateId
    version: VersionName


class ListVersions(Message):
    """``version.list``: every version of a template, the newest first."""

    template_id: TemplateId


class TextWarning(Result):
    """A possible mistake; it refuses nothing. ``line`` and ``column`` count from 1."""

    code: str
    path: str
    message: str
    remedy: str
    line: int = 1
    column: int = 1


class CarriedTranslations(Result):
    """The languages of the previous version: carried over or dropped. Each list is sorted.

    ``carried`` were taken over, because their placeholders match; ``stale`` are the carried ones
    whose source text has changed; ``dropped`` were not taken over.
    """

    carried: list[str]
    stale: list[str]
    dropped: list[str]


class Change(Result):
    """A change that breaks producers of the current version, as :class:`tasks.errors.Problem`."""

    path: str
    type: str
    message: str


class PublishedVersion(Result):
    """Answer of ``version.publish``; ``previous_version`` was current before.

    ``activate_at`` is when the version becomes current, null without a schedule. ``breaking`` is
    what ``allow_breaking`` let pass. Each of ``warnings`` has a code, a path, a
    message and a remedy, with line and column where there is a source.
    """

    template_id: str
    version: str
    version_id: str
    previous_version: str | None
    is_current: bool
    activate_at: datetime | None
    variables: Declarations
    translations: CarriedTranslations
    breaking: list[Change]
    warnings: Warned = Field(default_factory=list)


class ActivatedVersion(Result):
    """Answer of ``version.activate``; with ``activate_at`` it becomes current only then."""

    template_id: str
    version: str
    version_id: str
    previous_version: str | None
    activate_at: datetime | None


class UnscheduledVersion(Result):
    """Answer of ``version.unschedule``; ``activate_at`` is the time that was cancelled, if any."""

    template_id: str
    version: str
    cancelled: bool
    activate_at: datetime | None


class Activation(Result):
    """Time at which a version was or becomes current.

    ``is_draft`` is whether it never was, ``activated_at`` when it last became current (null for
    drafts, and where it was not recorded), ``activate_at`` when it will, and ``schedule_error`` is
    the code of the error that prevented the last schedule.
    """

    is_current: bool
    is_draft: bool
    activated_at: datetime | None
    activate_at: datetime | None
    schedule_error: str | None


class VersionText(Activation):
    """A version with its source."""

    version: str
    version_id: str
    subject: str | None
    body: str
    text: str | None
    preheader: str | None
    format: str | None
    inline_css: bool
    variables: Declarations
    metadata: dict[str, Any]
    created_at: datetime


class TranslationState(Result):
    """A translation of a version, without its text."""

    language: str
    state: Literal["current", "stale"]


class VersionSummary(Activation):
    """A version without its source."""

    version: str
    version_id: str
    created_at: datetime
    languages: list[TranslationState]


class VersionList(Result):
    """Answer of ``version.list``."""

    template_id: str
    versions: list[VersionSummary]
