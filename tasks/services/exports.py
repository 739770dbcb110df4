"""``template.export``: templates with all that their authors wrote, and digests."""

from collections.abc import Iterator, Sequence
from typing import Final

from db.queries import templates, translations, versions
from db.queries.templates import TemplateRow
from db.queries.translations import StoredText
from db.queries.versions import VersionRow
from tasks.messages.exports import (
    ExportedDigest,
    ExportedPage,
    ExportedTemplate,
    ExportedText,
    ExportedVersion,
    ExportTemplates,
)
from tasks.rendering.digests import template_digest, version_digest
from tasks.rendering.limits import MIB
from tasks.rendering.texts import Sources
from tasks.services import views
from tasks.services.expectations import stored_digest
from tasks.services.templates import existing
from tasks.services.versions import existing_version
from tasks.work import Work

PAGE_BYTES: Final = 4 * MIB
"""Texts in one answer, so that neither broker nor producer holds much at once; a single template
may have more."""

READ_BYTES: Final = 256 * MIB
"""Texts that are read for the digests of one answer, which takes about two seconds."""


def page(message: ExportTemplates, work: Work) -> ExportedPage:
    """Return a page of templates in the order of template_id, with contents or digests only."""
    if message.version is not None and message.template_ids is not None:
        return _one(message.template_ids[0], message.version, work, content=message.content)
    stored = templates.page(
        work.session,
        limit=message.limit + 1,
        after=message.after,
        template_ids=message.template_ids,
        type=message.type,
        category=message.category,
        is_active=message.is_active,
        prefix=message.prefix,
        tag=message.tag,
    )
    rows = [row for row, _ in stored[: message.limit]]
    sizes = versions.sizes(work.session, [row.id for row in rows])
    exported: list[ExportedTemplate] = []
    left = PAGE_BYTES if message.content else READ_BYTES
    for chunk in _chunks(rows, [sizes.get(row.id, 0) for row in rows]):
        size = sum(sizes.get(row.id, 0) for row in chunk)
        if exported and size > left:
            break
        left -= size
        exported += _exported(chunk, work, content=message.content)
    has_more = len(exported) < len(stored)
    return ExportedPage(
        templates=exported, next=exported[-1].template_id if has_more and exported else None
    )


def _chunks(rows: Sequence[TemplateRow], sizes: Sequence[int]) -> Iterator[list[TemplateRow]]:
    """Yield templates whose texts are read together: no more than one page has, or a single one."""
    chunk: list[TemplateRow] = []
    size = 0
    for row, each in zip(rows, sizes, strict=True):
        if chunk and size + each > PAGE_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(row)
        size += each
    if chunk:
        yield chunk


def _exported(
    rows: Sequence[TemplateRow], work: Work, *, content: bool
) -> Iterator[ExportedTemplate]:
    current = versions.current_of(work.session, [row.id for row in rows])
    texts = translations.texts_of(work.session, [version.id for version in current.values()])
    for row in rows:
        version = current.get(row.id)
        if version is None:
            yield _template(row, None, template_digest(views.own_fields(row), None), None)
            continue
        exported = _version(version, texts[version.id], content=content)
        digest = template_digest(views.own_fields(row), exported.digest)
        yield _template(row, version.version, digest, exported)


def _one(template_id: str, name: str, work: Work, *, content: bool) -> ExportedPage:
    """Return one template with the version of that name."""
    row = existing(work, template_id)
    version = existing_version(work, row, name)
    current = versions.find(work.session, row.id, None)
    texts = translations.texts(work.session, version.id)
    exported = _template(
        row,
        current.version if current is not None else None,
        stored_digest(work, row, current),
        _version(version, texts, content=content),
    )
    return ExportedPage(templates=[exported], next=None)


def _template(
    row: TemplateRow,
    current: str | None,
    digest: str,
    version: ExportedVersion | ExportedDigest | None,
) -> ExportedTemplate:
    return ExportedTemplate(
        template_id=row.template_id,
        **views.own_fields(row),
        current_version=current,
        digest=digest,
        created_at=row.created_at,
        updated_at=row.updated_at,
        version=version,
    )


def _version(
    row: VersionRow, texts: Sequence[StoredText], *, content: bool
) -> ExportedVersion | ExportedDigest:
    contents = views.contents(row, texts)
    about = {
        "version": row.version,
        "version_id": str(row.id),
        "created_at": row.created_at,
        "digest": version_digest(contents),
        **views.activation(row),
    }
    if not content:
        return ExportedDigest.model_validate(about)
    written = {
        text.language_code: ExportedText(
            state=views.state(is_stale=text.is_stale), **Sources.of(text)._asdict()
        )
        for text in texts
    }
    return ExportedVersion.model_validate({**contents, **about, "translations": written})
