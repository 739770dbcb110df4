"""Rows as results."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, cast

from db import models
from db.queries.details import TemplateRow
from db.queries.versions import VersionRow
from tasks.messages.templates import LanguageState, Template
from tasks.messages.versions import VersionText

if TYPE_CHECKING:
    from tasks.messages.fields import TemplateType


def template(row: models.Template | TemplateRow, current_version: str | None) -> Template:
    """Return a template as producers see it."""
    return Template.model_construct(
        template_id=row.template_id,
        name=row.name,
        type=cast("TemplateType", row.type),
        description=row.description,
        category=row.category,
        is_active=row.is_active,
        metadata=row.info,
        current_version=current_version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        deleted_at=row.deleted_at,
    )


def version(row: VersionRow) -> VersionText:
    """Return a version with its source."""
    return VersionText(
        version=row.version,
        version_id=str(row.id),
        subject=row.subject,
        body=row.body,
        text=row.text,
        preheader=row.preheader,
        inline_css=row.inline_css,
        variables=row.variables,
        metadata=row.info,
        is_current=row.is_current,
        created_at=row.created_at,
    )


def languages(source: str, translations: Sequence[tuple[str, bool]]) -> list[LanguageState]:
    """Return the languages of a version: its own first, then the translations in order."""
    return [
        LanguageState(language=source, state="source"),
        *(
            LanguageState(language=language, state=state(is_stale=is_stale))
            for language, is_stale in translations
        ),
    ]


def state(*, is_stale: bool) -> Literal["current", "stale"]:
    """Return the state of a translation."""
    return "stale" if is_stale else "current"
