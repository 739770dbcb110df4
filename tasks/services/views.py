"""Results of tasks from rows of the database."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from db import models
from db.queries.templates import TemplateRow
from db.queries.translations import StoredText
from db.queries.versions import VersionRow
from tasks.messages.templates import LanguageState, Template
from tasks.messages.versions import VersionText
from tasks.rendering.texts import Sources


def template(row: TemplateRow, current_version: str | None) -> Template:
    """Return a template as producers see it."""
    return Template.model_construct(
        template_id=row.template_id,
        **own_fields(row),
        current_version=current_version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        deleted_at=row.deleted_at,
    )


def version(row: VersionRow) -> VersionText:
    """Return a version with its source."""
    return VersionText.model_construct(
        version=row.version,
        version_id=str(row.id),
        **Sources.of(row)._asdict(),
        format=row.format,
        inline_css=row.inline_css,
        variables=row.variables,
        metadata=row.info,
        created_at=row.created_at,
        **activation(row),
    )


def activation(row: VersionRow | models.TemplateVersion) -> dict[str, Any]:
    """Return when a version was or becomes current."""
    return {
        "is_current": row.is_current,
        "is_draft": row.is_draft,
        "activated_at": row.activated_at,
        "activate_at": row.activate_at,
        "schedule_error": row.schedule_error,
    }


def languages(source: str, translations: Sequence[tuple[str, bool]]) -> list[LanguageState]:
    """Return the languages of a version: its own first, then the translations in order."""
    return [
        LanguageState.model_construct(language=source, state="source"),
        *(
            LanguageState.model_construct(language=language, state=state(is_stale=is_stale))
            for language, is_stale in translations
        ),
    ]


def state(*, is_stale: bool) -> Literal["current", "stale"]:
    """Return the state of a translation."""
    return "stale" if is_stale else "current"


def own_fields(row: TemplateRow) -> dict[str, Any]:
    """Return the fields of a template that its author writes."""
    return {
        "name": row.name,
        "type": row.type,
        "description": row.description,
        "category": row.category,
        "is_active": row.is_active,
        "metadata": row.info,
    }


def contents(row: VersionRow, texts: Iterable[StoredText]) -> dict[str, Any]:
    """Return what an author writes of a version: its sources, declarations and translations."""
    return {
        **Sources.of(row)._asdict(),
        "format": row.format,
        "inline_css": row.inline_css,
        "variables": row.variables,
        "metadata": row.info,
        "translations": {text.language_code: Sources.of(text)._asdict() for text in texts},
    }
