"""The calls of both clients. Generated from the contract by client/generate.py."""

from typing import Unpack, cast

from template_service_client.core import AsyncCore, SyncCore
from template_service_client.models import (
    ActivatedVersion,
    ActivateVersion,
    AppliedBundle,
    ApplyBundle,
    BatchRendered,
    CreateTemplate,
    DeletedTranslation,
    DeleteTemplate,
    DeleteTranslation,
    DiffVersions,
    ExportedPage,
    ExportTemplates,
    GetTemplate,
    ListTemplates,
    ListVersions,
    Preview,
    Previewed,
    PublishedVersion,
    PublishVersion,
    RenderBatch,
    Rendered,
    RenderOne,
    RestoreTemplate,
    Template,
    TemplateDetails,
    TemplatePage,
    UnscheduledVersion,
    UnscheduleVersion,
    UpdateTemplate,
    UpsertedTranslation,
    UpsertTranslation,
    VersionDifference,
    VersionList,
)


class Client(SyncCore):
    """Calls that block until there is an answer."""

    def bundle_apply(self, **message: Unpack[ApplyBundle]) -> AppliedBundle:
        """``bundle.apply``: Create and change a set of templates, all of them or none."""
        return cast("AppliedBundle", self._call("bundle.apply", message))

    def render_batch(self, **message: Unpack[RenderBatch]) -> BatchRendered:
        """``render.batch``: Render one template for many recipients."""
        return cast("BatchRendered", self._call("render.batch", message))

    def render_one(self, **message: Unpack[RenderOne]) -> Rendered:
        """``render.one``: Render one template for one recipient."""
        return cast("Rendered", self._call("render.one", message))

    def render_preview(self, **message: Unpack[Preview]) -> Previewed:
        """``render.preview``: Render a text that is not stored."""
        return cast("Previewed", self._call("render.preview", message))

    def template_create(self, **message: Unpack[CreateTemplate]) -> Template:
        """``template.create``: Create a template."""
        return cast("Template", self._call("template.create", message))

    def template_delete(self, **message: Unpack[DeleteTemplate]) -> Template:
        """``template.delete``: Soft-delete a template."""
        return cast("Template", self._call("template.delete", message))

    def template_export(self, **message: Unpack[ExportTemplates]) -> ExportedPage:
        """``template.export``: Return a page of templates with their texts, or digests."""
        return cast("ExportedPage", self._call("template.export", message))

    def template_get(self, **message: Unpack[GetTemplate]) -> TemplateDetails:
        """``template.get``: Return a template, a version of it and its languages."""
        return cast("TemplateDetails", self._call("template.get", message))

    def template_list(self, **message: Unpack[ListTemplates]) -> TemplatePage:
        """``template.list``: Return a page of templates."""
        return cast("TemplatePage", self._call("template.list", message))

    def template_restore(self, **message: Unpack[RestoreTemplate]) -> Template:
        """``template.restore``: Undo the soft delete of a template."""
        return cast("Template", self._call("template.restore", message))

    def template_update(self, **message: Unpack[UpdateTemplate]) -> Template:
        """``template.update``: Change name, description, category or is_active of a template."""
        return cast("Template", self._call("template.update", message))

    def translation_delete(self, **message: Unpack[DeleteTranslation]) -> DeletedTranslation:
        """``translation.delete``: Remove one language of a version."""
        return cast("DeletedTranslation", self._call("translation.delete", message))

    def translation_upsert(self, **message: Unpack[UpsertTranslation]) -> UpsertedTranslation:
        """``translation.upsert``: Write one language of a version."""
        return cast("UpsertedTranslation", self._call("translation.upsert", message))

    def version_activate(self, **message: Unpack[ActivateVersion]) -> ActivatedVersion:
        """``version.activate``: Make a version the current one, now or later."""
        return cast("ActivatedVersion", self._call("version.activate", message))

    def version_diff(self, **message: Unpack[DiffVersions]) -> VersionDifference:
        """``version.diff``: Return what changes from one version to another."""
        return cast("VersionDifference", self._call("version.diff", message))

    def version_list(self, **message: Unpack[ListVersions]) -> VersionList:
        """``version.list``: Return the versions of a template."""
        return cast("VersionList", self._call("version.list", message))

    def version_publish(self, **message: Unpack[PublishVersion]) -> PublishedVersion:
        """``version.publish``: Publish a version of a template."""
        return cast("PublishedVersion", self._call("version.publish", message))

    def version_unschedule(self, **message: Unpack[UnscheduleVersion]) -> UnscheduledVersion:
        """``version.unschedule``: Cancel the scheduled activation of a version."""
        return cast("UnscheduledVersion", self._call("version.unschedule", message))


class AsyncClient(AsyncCore):
    """Calls to be awaited."""

    async def bundle_apply(self, **message: Unpack[ApplyBundle]) -> AppliedBundle:
        """``bundle.apply``: Create and change a set of templates, all of them or none."""
        return cast("AppliedBundle", await self._call("bundle.apply", message))

    async def render_batch(self, **message: Unpack[RenderBatch]) -> BatchRendered:
        """``render.batch``: Render one template for many recipients."""
        return cast("BatchRendered", await self._call("render.batch", message))

    async def render_one(self, **message: Unpack[RenderOne]) -> Rendered:
        """``render.one``: Render one template for one recipient."""
        return cast("Rendered", await self._call("render.one", message))

    async def render_preview(self, **message: Unpack[Preview]) -> Previewed:
        """``render.preview``: Render a text that is not stored."""
        return cast("Previewed", await self._call("render.preview", message))

    async def template_create(self, **message: Unpack[CreateTemplate]) -> Template:
        """``template.create``: Create a template."""
        return cast("Template", await self._call("template.create", message))

    async def template_delete(self, **message: Unpack[DeleteTemplate]) -> Template:
        """``template.delete``: Soft-delete a template."""
        return cast("Template", await self._call("template.delete", message))

    async def template_export(self, **message: Unpack[ExportTemplates]) -> ExportedPage:
        """``template.export``: Return a page of templates with their texts, or digests."""
        return cast("ExportedPage", await self._call("template.export", message))

    async def template_get(self, **message: Unpack[GetTemplate]) -> TemplateDetails:
        """``template.get``: Return a template, a version of it and its languages."""
        return cast("TemplateDetails", await self._call("template.get", message))

    async def template_list(self, **message: Unpack[ListTemplates]) -> TemplatePage:
        """``template.list``: Return a page of templates."""
        return cast("TemplatePage", await self._call("template.list", message))

    async def template_restore(self, **message: Unpack[RestoreTemplate]) -> Template:
        """``template.restore``: Undo the soft delete of a template."""
        return cast("Template", await self._call("template.restore", message))

    async def template_update(self, **message: Unpack[UpdateTemplate]) -> Template:
        """``template.update``: Change name, description, category or is_active of a template."""
        return cast("Template", await self._call("template.update", message))

    async def translation_delete(self, **message: Unpack[DeleteTranslation]) -> DeletedTranslation:
        """``translation.delete``: Remove one language of a version."""
        return cast("DeletedTranslation", await self._call("translation.delete", message))

    async def translation_upsert(self, **message: Unpack[UpsertTranslation]) -> UpsertedTranslation:
        """``translation.upsert``: Write one language of a version."""
        return cast("UpsertedTranslation", await self._call("translation.upsert", message))

    async def version_activate(self, **message: Unpack[ActivateVersion]) -> ActivatedVersion:
        """``version.activate``: Make a version the current one, now or later."""
        return cast("ActivatedVersion", await self._call("version.activate", message))

    async def version_diff(self, **message: Unpack[DiffVersions]) -> VersionDifference:
        """``version.diff``: Return what changes from one version to another."""
        return cast("VersionDifference", await self._call("version.diff", message))

    async def version_list(self, **message: Unpack[ListVersions]) -> VersionList:
        """``version.list``: Return the versions of a template."""
        return cast("VersionList", await self._call("version.list", message))

    async def version_publish(self, **message: Unpack[PublishVersion]) -> PublishedVersion:
        """``version.publish``: Publish a version of a template."""
        return cast("PublishedVersion", await self._call("version.publish", message))

    async def version_unschedule(self, **message: Unpack[UnscheduleVersion]) -> UnscheduledVersion:
        """``version.unschedule``: Cancel the scheduled activation of a version."""
        return cast("UnscheduledVersion", await self._call("version.unschedule", message))
