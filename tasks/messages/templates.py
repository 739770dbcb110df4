"""Messages and results of ``template.*``."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from tasks.messages.base import ConditionalWrite, JsonObject, Message, Result, WriteMessage
from tasks.messages.described import NO_NUL, described
from tasks.messages.fields import (
    Category,
    Description,
    Name,
    RequestedLanguage,
    TemplateId,
    TemplateType,
    VersionName,
    without_nul,
)
from tasks.messages.metadata import Metadata
from tasks.messages.versions import VersionText

CHANGEABLE = ("name", "description", "category", "is_active", "metadata")


Prefix = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
Tag = Annotated[
    str, Field(min_length=1, max_length=255), AfterValidator(without_nul), described(pattern=NO_NUL)
]
SearchText = Annotated[
    str, Field(min_length=2, max_length=255), AfterValidator(without_nul), described(pattern=NO_NUL)
]


class CreateTemplate(WriteMessage):
    """``template.create``: a template without a version yet."""

    template_id: TemplateId
    name: Name
    type: TemplateType
    description: Description | None = None
    category: Category | None = None
    is_active: bool = True
    metadata: Metadata = Field(default_factory=dict)


class UpdateTemplate(ConditionalWrite):
    """``template.update``: only given fields change; null empties description and category.

    ``metadata`` takes the place of the whole object.
    """

    model_config = ConfigDict(json_schema_extra={"minProperties": 2})

    template_id: TemplateId
    name: Name | None = None
    description: Description | None = None
    category: Category | None = None
    is_active: bool | None = None
    metadata: Metadata | None = None

    def content(self) -> dict[str, Any]:
        """Return the fields that the message names, including nulls that empty a field."""
        return self.model_dump(mode="json", exclude={"idempotency_key"}, exclude_unset=True)

    @model_validator(mode="after")
    def _something_changes(self) -> Self:
        given = self.model_fields_set & set(CHANGEABLE)
        if not given:
            raise PydanticCustomError(
                "nothing_to_change",
                f"expected at least one of {', '.join(CHANGEABLE)}",
            )
        for field in ("name", "is_active", "metadata"):
            if field in given and getattr(self, field) is None:
                raise PydanticCustomError(
                    "not_null", "{field} cannot be null; leave it out to keep it", {"field": field}
                )
        return self


class DeleteTemplate(ConditionalWrite):
    """``template.delete``: soft delete; nothing is rendered from it any more."""

    template_id: TemplateId


class RestoreTemplate(ConditionalWrite):
    """``template.restore``: undo a soft delete."""

    template_id: TemplateId


class GetTemplate(Message):
    """``template.get``: the current version, or the one named; with one language's text."""

    template_id: TemplateId
    version: VersionName | None = None
    language: RequestedLanguage | None = None


class ListTemplates(Message):
    """``template.list``: a page in the order of template_id, deleted templates left out.

    ``prefix`` is the beginning of the template_id, ``tag`` one of the texts in ``metadata.tags``.
    ``text`` is searched for, ignoring case, in the template_id, the name, the description and the
    sources of the current version in every language.
    """

    type: TemplateType | None = None
    category: Category | None = None
    is_active: bool | None = None
    prefix: Prefix | None = None
    tag: Tag | None = None
    text: SearchText | None = None
    after: TemplateId | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class Template(Result):
    """A template as the database has it."""

    template_id: str
    name: str
    type: TemplateType
    description: str | None
    category: str | None
    is_active: bool
    metadata: JsonObject
    current_version: str | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


class LanguageState(Result):
    """A language of a version.

    ``state`` is ``source`` for the version's own text, ``current`` for a translation of it, and
    ``stale`` for one whose source text has changed since it was made.
    """

    language: str
    state: Literal["source", "current", "stale"]


class LanguageText(LanguageState):
    """The text of one language."""

    subject: str | None
    body: str
    text: str | None
    preheader: str | None


class PartialUser(Result):
    """A template whose current version uses a partial.

    ``steps`` is 1 where it includes or extends the partial itself, else over how many partials.
    """

    template_id: str
    type: TemplateType
    steps: int


class ScheduledVersion(Result):
    """A version that will be current."""

    version: str
    activate_at: datetime


class TemplateDetails(Result):
    """Answer of ``template.get``; ``version`` is null before the first publish.

    ``scheduled`` has the versions that will be current, by time.
    ``used_by`` has the templates that use a partial, in the order of template_id; it is empty for
    other types.
    """

    template: Template
    version: VersionText | None
    languages: list[LanguageState]
    text: LanguageText | None
    used_by: list[PartialUser]
    scheduled: list[ScheduledVersion]


class TemplatePage(Result):
    """Answer of ``template.list``; pass ``next`` as ``after`` for the page that follows."""

    templates: list[Template]
    next: str | None
