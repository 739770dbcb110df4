"""Message and result of ``template.export``."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from tasks.messages.base import JsonObject, Message, Result
from tasks.messages.fields import Category, TemplateId, TemplateType, VersionName
from tasks.messages.templates import Prefix, Tag
from tasks.messages.versions import Activation

MOST_TEMPLATES = 1000


class ExportTemplates(Message):
    """``template.export``: a page of templates with all that their authors wrote.

    Filters work as in ``template.list``; ``template_ids`` names the templates. Without
    ``content`` the answer has their digests only. ``version`` exports another version than the
    current one, of a single template.
    """

    template_ids: (
        Annotated[list[TemplateId], Field(min_length=1, max_length=MOST_TEMPLATES)] | None
    ) = None
    version: VersionName | None = None
    type: TemplateType | None = None
    category: Category | None = None
    is_active: bool | None = None
    prefix: Prefix | None = None
    tag: Tag | None = None
    content: bool = True
    after: TemplateId | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_TEMPLATES)] = 100

    @model_validator(mode="after")
    def _a_version_is_of_one_template(self) -> Self:
        if self.version is not None and (self.template_ids is None or len(self.template_ids) != 1):
            raise PydanticCustomError(
                "version_of_one", "version needs exactly one template, in template_ids"
            )
        return self


class ExportedText(Result):
    """A translation, as it was sent; without a subject the version's is used."""

    state: Literal["current", "stale"]
    subject: str | None
    body: str
    text: str | None
    preheader: str | None


class ExportedDigest(Activation):
    """A version without its contents."""

    version: str
    version_id: str
    created_at: datetime
    digest: str


class ExportedVersion(ExportedDigest):
    """A version with its sources as they were sent, and its translations by language."""

    subject: str | None
    body: str
    text: str | None
    preheader: str | None
    format: str | None
    inline_css: bool
    variables: list[JsonObject]
    metadata: JsonObject
    translations: dict[str, ExportedText]


class ExportedTemplate(Result):
    """A template; ``digest`` covers its fields and its current version.

    ``version`` is the current one, or the one asked for, and null where there is none.
    """

    template_id: str
    name: str
    type: TemplateType
    description: str | None
    category: str | None
    is_active: bool
    metadata: JsonObject
    current_version: str | None
    digest: str
    created_at: datetime
    updated_at: datetime
    version: ExportedVersion | ExportedDigest | None


class ExportedPage(Result):
    """Answer of ``template.export``; pass ``next`` as ``after`` for the page that follows."""

    templates: list[ExportedTemplate]
    next: str | None
