"""``template.*``: the tasks of templates."""

from tasks.base import lookup, read, write
from tasks.messages.exports import ExportedPage, ExportTemplates
from tasks.messages.templates import (
    CreateTemplate,
    DeleteTemplate,
    GetTemplate,
    ListTemplates,
    RestoreTemplate,
    Template,
    TemplateDetails,
    TemplatePage,
    UpdateTemplate,
)
from tasks.services import exports, templates
from tasks.work import Lookup, Work


@write("template.create", CreateTemplate)
def create(message: CreateTemplate, work: Work) -> Template:
    """Create a template."""
    return templates.create(message, work)


@write("template.update", UpdateTemplate)
def update(message: UpdateTemplate, work: Work) -> Template:
    """Change name, description, category or is_active of a template."""
    return templates.update(message, work)


@write("template.delete", DeleteTemplate)
def delete(message: DeleteTemplate, work: Work) -> Template:
    """Soft-delete a template."""
    return templates.delete(message, work)


@write("template.restore", RestoreTemplate)
def restore(message: RestoreTemplate, work: Work) -> Template:
    """Undo the soft delete of a template."""
    return templates.restore(message, work)


@lookup("template.get", GetTemplate)
def get(message: GetTemplate, work: Lookup) -> TemplateDetails:
    """Return a template, a version of it and its languages."""
    return templates.details(message, work)


@read("template.list", ListTemplates)
def list_(message: ListTemplates, work: Work) -> TemplatePage:
    """Return a page of templates."""
    return templates.page(message, work)


@read("template.export", ExportTemplates)
def export(message: ExportTemplates, work: Work) -> ExportedPage:
    """Return a page of templates with their texts, or digests."""
    return exports.page(message, work)
