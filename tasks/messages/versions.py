"""Messages and results of ``version.*``."""

import re
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
    Description,
    Digest,
    LanguageCode,
    Moment,
    OwnText,
    Preheader,
    SourceFormat,
    Subject,
    TemplateId,
    VariableType,
    VersionName,
    canonical_language,
    json_without_nul,
    limits_of,
    too_many,
)
from tasks.messages.metadata import VersionMetadata
from tasks.messages.python_values import converted
from tasks.rendering.limits import Limits
from tasks.rendering.paths import parsed, written
from tasks.rendering.render_names import RENDER_NAMES

MOST_VARIABLES = 500
_HYPHENATED = re.compile(r"[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*", re.ASCII)
LONGEST_NAME = 255
RESERVED = frozenset({"caller", "false", "loop", "none", "self", "super", "true"}) | RENDER_NAMES


def is_variable_name(text: str) -> bool:
    """Tell whether a variable may have that name."""
    path = parsed(text) if len(text) <= LONGEST_NAME else None
    return path is not None and path[0] not in RESERVED


def _variable_name(text: str) -> str:
    path = parsed(text) if is_variable_name(text) else None
    if path is None:
        raise PydanticCustomError("variable_name", "{problem}", {"problem": _name_problem(text)})
    return written(path)


def _name_problem(text: str) -> str:
    """Return what is wrong with a name, and how to write it."""
    path = parsed(text)
    if path is not None and path[0] in RENDER_NAMES:
        return "expected another name: 'language' and 'dir' are those of the rendered text"
    if _HYPHENATED.fullmatch(text):
        first, *others = text.split(".")
        if "-" in first:
            return (
                "'-' is minus in a template, and a variable's own name has none: name it with '_', "
                "or make it a member of an object, such as 'user[\"first-name\"]'"
            )
        steps = [f'["{step}"]' if "-" in step else f".{step}" for step in others]
        return f"'-' is minus in a template: write {first}{''.join(steps)}"
    return (
        "expected a name such as 'amount', 'user.name', 'items[].sku' or 'user[\"first-name\"]', "
        "not one of the template language"
    )


VariableName = Annotated[
    str, AfterValidator(_variable_name), described(minLength=1, maxLength=LONGEST_NAME)
]


class Variable(BaseModel):
    """A placeholder that a version's sources may use.

    ``name`` is a path: ``user.name`` is the member ``name`` of the object ``user``, and
    ``items[].sku`` that of each item of the array ``items``. A variable with a default need not be
    given.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: VariableName
    type: VariableType = "any"
    required: bool = True
    default: Annotated[Any, AfterValidator(json_without_nul), AfterValidator(converted)] = None
    description: Description | None = None
    example: Annotated[Any, AfterValidator(json_without_nul), AfterValidator(converted)] = None

    def stored(self) -> dict[str, Any]:
        """Return the variable as JSON, without members that were left out."""
        return self.model_dump(mode="json", exclude_none=True)


def _named(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


def _unique_names(variables: list[Variable]) -> list[Variable]:
    names = [variable.name for variable in variables]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise PydanticCustomError(
            "declared_twice", "declared more than once: {names}", {"names": ", ".join(twice)}
        )
    return variables


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


Variables = Annotated[
    list[
        Annotated[Variable, BeforeValidator(_named, json_schema_input_type=VariableName | Variable)]
    ],
    Field(max_length=MOST_VARIABLES),
    AfterValidator(_unique_names),
]
Translations = Annotated[
    dict[LanguageCode, Text],
    BeforeValidator(_unique_languages),
    AfterValidator(_few_enough),
    described(maxProperties=Limits().translations, x_limit="translations"),
]
Declarations = Annotated[list[dict[str, Any]], items_are("DeclaredVariable")]
Warned = Annotated[list[dict[str, Any]], items_are("TextWarning")]


class NewVersion(BaseModel):
    """The contents of a version, and how it is published.

    ``variables`` left out are inferred from the sources. ``text`` is the text part of an e-mail
    (left out, it is derived from the body), ``preheader`` the line that inboxes show after the
    subject. ``format`` is the language in which bodies are written, HTML or text where it is left
    out. ``inline_css`` writes the rules of ``<style>`` into the elements that they select.

    ``carry_translations`` takes over those of the previous version that the message does not bring,
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
                "draft_unnamed", "expected_draft is a condition of replace_draft"
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
    """A write to one template; its problems are told in the order of the fields."""

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


class DeclaredVariable(Result):
    """A variable as a version has it; what was not declared of it is left out."""

    name: str
    type: VariableType
    required: bool = True
    default: Any = None
    description: str = ""
    example: Any = None


class TextWarning(Result):
    """What is worth a look, and refuses nothing; ``line`` and ``column`` count from 1."""

    code: str
    path: str
    message: str
    remedy: str
    line: int = 1
    column: int = 1


class CarriedTranslations(Result):
    """The languages of the previous version by what became of them, each list sorted.

    ``carried`` were taken over, because their placeholders match; ``stale`` are those of them whose
    source text has changed; ``dropped`` were not taken over.
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
    """When a version was or becomes current.

    ``is_draft`` tells whether it never was, ``activated_at`` when it last became current (null for
    drafts, and where nobody wrote it down), ``activate_at`` when it will, and ``schedule_error`` is
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
