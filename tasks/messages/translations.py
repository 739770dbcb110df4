"""Messages and results of ``translation.*``."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from tasks.messages.base import ConditionalWrite, Result
from tasks.messages.fields import (
    Body,
    LanguageCode,
    OwnText,
    Preheader,
    Subject,
    TemplateId,
    VersionName,
)
from tasks.messages.versions import Warned


class UpsertTranslation(ConditionalWrite):
    """``translation.upsert``: write one language of the current version, or of the one named."""

    template_id: TemplateId
    language_code: LanguageCode
    body: Body
    subject: Subject | None = None
    text: OwnText | None = None
    preheader: Preheader | None = None
    version: VersionName | None = None


class DeleteTranslation(ConditionalWrite):
    """``translation.delete``: remove one language of the current version, or of the one named."""

    template_id: TemplateId
    language_code: LanguageCode
    version: VersionName | None = None


class Translation(Result):
    """A translation; ``subject`` is null where it takes the version's."""

    template_id: str
    version: str
    version_id: str
    language_code: str
    subject: str | None
    body: str
    text: str | None
    preheader: str | None
    state: Literal["current", "stale"]
    created_at: datetime
    updated_at: datetime


class UpsertedTranslation(Result):
    """Answer of ``translation.upsert``.

    ``warnings`` are as in :class:`tasks.messages.versions.PublishedVersion`.
    """

    translation: Translation
    created: bool
    warnings: Warned = Field(default_factory=list)


class DeletedTranslation(Result):
    """Answer of ``translation.delete``."""

    template_id: str
    version: str
    language_code: str
