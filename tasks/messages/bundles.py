"""Message and result of ``bundle.apply``."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from tasks.messages.base import Conditions, Result, WriteMessage
from tasks.messages.described import described
from tasks.messages.fields import (
    Category,
    Description,
    Name,
    TemplateId,
    TemplateType,
    limits_of,
    too_many,
)
from tasks.messages.metadata import Metadata
from tasks.messages.versions import CarriedTranslations, Change, NewVersion, Warned
from tasks.rendering.limits import Limits


def _few_enough(value: list[Any], info: ValidationInfo) -> list[Any]:
    too_many(len(value), limits_of(info).bundle_templates, "templates")
    return value


class BundledTemplate(Conditions):
    """A template of a bundle: all of its own fields, and the version to publish, if any."""

    template_id: TemplateId
    name: Name
    type: TemplateType
    description: Description | None = None
    category: Category | None = None
    is_active: bool = True
    metadata: Metadata = Field(default_factory=dict)
    version: NewVersion | None = None


class ApplyBundle(WriteMessage):
    """``bundle.apply``: create and change a set of templates, all of them or none.

    Templates are validated one by one, as :class:`BundledTemplate`, so that the problems of all are
    reported. With ``dry_run`` nothing is stored, and the answer says what would be.
    """

    one_by_one = {"templates": BundledTemplate}  # noqa: RUF012 - a ClassVar of the base

    templates: Annotated[
        list[Any],
        Field(min_length=1),
        AfterValidator(_few_enough),
        described(
            maxItems=Limits().bundle_templates,
            x_limit="bundle_templates",
            x_items="BundledTemplate",
        ),
    ]
    dry_run: bool = False

    def content(self) -> dict[str, Any]:
        """Return the content as it came: templates are not validated yet, lone surrogates too."""
        return {"templates": self.templates, "dry_run": self.dry_run}


class PartialUse(Result):
    """A template that uses a changed partial; ``problems`` is how the change breaks it.

    ``checked`` is false if the time limit of the message was reached first.
    """

    template_id: str
    in_bundle: bool
    checked: bool
    problems: list[dict[str, Any]]


class AppliedTemplate(Result):
    """Result for one template of a bundle.

    ``fields`` are the template's own fields that change. ``version`` is the published one; if none
    is, the draft that has these contents already, or the current one. ``digest`` is the template's
    digest afterwards. ``problems`` has the reasons of a refusal, in a dry run.
    """

    template_id: str | None
    type: TemplateType | None
    action: Literal["added", "changed", "unchanged", "refused"]
    fields: list[str]
    version: str | None
    version_id: str | None
    previous_version: str | None
    is_current: bool
    activate_at: datetime | None
    digest: str | None
    translations: CarriedTranslations
    breaking: list[Change]
    users: list[PartialUse]
    warnings: Warned
    problems: list[dict[str, Any]]


class AppliedBundle(Result):
    """Answer of ``bundle.apply``, with the templates in the order of the message."""

    dry_run: bool
    applied: bool
    added: int
    changed: int
    unchanged: int
    refused: int
    templates: list[AppliedTemplate]
