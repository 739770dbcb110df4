"""Messages and results of ``render.*``."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from tasks.messages.base import KEY_LENGTH, JsonObject, Message, Result
from tasks.messages.described import described, items_are
from tasks.messages.fields import (
    Body,
    Fallback,
    OwnText,
    Preheader,
    RequestedLanguage,
    SourceFormat,
    Subject,
    TemplateId,
    TemplateType,
    VersionName,
    limits_of,
    too_many,
    within,
)
from tasks.messages.python_values import MARK, converted
from tasks.messages.variables import Declarations, Variables
from tasks.messages.versions import Warned
from tasks.rendering.frames import encode
from tasks.rendering.languages import Reason
from tasks.rendering.limits import Limits


def _values(value: JsonObject, info: ValidationInfo) -> JsonObject:
    encoded = encode(value)
    if MARK.encode() in encoded:
        value = converted(value)
    within(len(encoded), limits_of(info).variables_bytes, "variables")
    return value


def _few_enough(value: list[Any], info: ValidationInfo) -> list[Any]:
    too_many(len(value), limits_of(info).batch_items, "items")
    return value


def _key(value: object) -> object:
    is_text = isinstance(value, str) and 1 <= len(value) <= KEY_LENGTH
    if not is_text and type(value) is not int:
        raise PydanticCustomError(
            "key",
            "expected text of 1 to {most} characters or a whole number",
            {"most": KEY_LENGTH},
        )
    return value


Values = Annotated[JsonObject, AfterValidator(_values), described(x_limit="variables_bytes")]
Key = Annotated[str, Field(min_length=1, max_length=KEY_LENGTH)] | int
Partials = Annotated[list[dict[str, str]], items_are("UsedPartial")]


class RenderOne(Message):
    """``render.one``: a finished subject and body, in the language nearest to ``language``."""

    template_id: TemplateId
    variables: Values = Field(default_factory=dict)
    language: RequestedLanguage | None = None
    version: VersionName | None = None
    fallback: Fallback = "closest"


class BatchItem(Message):
    """One recipient of a batch; the result repeats ``key``."""

    key: Annotated[str | int, PlainValidator(_key, json_schema_input_type=Key)]
    variables: JsonObject = Field(default_factory=dict)
    language: RequestedLanguage | None = None


class RenderBatch(Message):
    """``render.batch``: one version for many recipients.

    ``variables`` are shared: an item's own come before them. Items are validated one by one, as
    :class:`BatchItem`, so that a bad one does not fail the others.
    """

    one_by_one = {"items": BatchItem}  # noqa: RUF012 - a ClassVar of the base

    template_id: TemplateId
    items: Annotated[
        list[Any],
        AfterValidator(_few_enough),
        described(maxItems=Limits().batch_items, x_limit="batch_items", x_items="BatchItem"),
    ]
    variables: Values = Field(default_factory=dict)
    language: RequestedLanguage | None = None
    version: VersionName | None = None
    fallback: Fallback = "closest"


class Preview(Message):
    """``render.preview``: a text's output, on the path of a real render; nothing is stored.

    ``variables_schema`` is what ``version.publish`` takes as ``variables``. With ``variables`` left
    out, the examples and defaults of the schema are used.
    """

    type: TemplateType
    body: Body
    subject: Subject | None = None
    text: OwnText | None = None
    preheader: Preheader | None = None
    format: SourceFormat | None = None
    inline_css: bool = False
    variables_schema: Variables | None = None
    variables: Values | None = None
    language: RequestedLanguage | None = None


class Finished(Result):
    """The finished parts of a notification.

    An ``email`` has ``text``, the author's own text part or one derived from the body, and
    ``preheader`` if the version has one. An ``sms`` has ``encoding``, ``length``, ``segments`` and
    ``ucs2_characters``, a ``push`` has ``title``, the subject, and a ``json`` has ``document``, the
    body as parsed.
    ``content_sha256`` is the hex SHA-256 of the subject (empty if null), one NUL byte and the body,
    in UTF-8.
    """

    subject: str | None
    body: str
    text: str | None = None
    preheader: str | None = None
    document: Any = None
    encoding: Literal["GSM-7", "UCS-2"] | None = None
    length: int | None = None
    segments: int | None = None
    ucs2_characters: list[str] | None = None
    title: str | None = None
    content_sha256: str


class UsedPartial(Result):
    """A partial that went into a text."""

    template_id: str
    version: str
    language: str


class LocalizedParts(Finished):
    """The finished parts for one recipient, and how the language was chosen.

    ``fallback_chain`` holds the languages that were looked for, from the requested one to the one
    used, and ``language_reason`` why that one: ``exact``, ``closest``, ``default`` (none is near)
    or ``own`` (none was asked for). ``defaulted`` names the variables that took their default,
    ``unused`` those given that the version does not declare. ``partials`` has the template_id,
    version and language of each partial that went into the text. ``stale`` is whether the source
    text has changed since its translation, which was rendered, was written.
    """

    requested_language: str | None
    language: str
    language_reason: Reason
    fallback_chain: list[str]
    partials: Partials
    stale: bool
    defaulted: list[str]
    unused: list[str]


class Rendered(LocalizedParts):
    """Answer of ``render.one``."""

    template_id: str
    version: str
    version_id: str
    type: TemplateType


class RenderedItem(LocalizedParts):
    """An item of a batch that was rendered."""

    key: str | int
    ok: Literal[True]


class ItemError(Result):
    """Refusal of an item, as ``render.one`` would have it; paths begin with the item."""

    code: str
    message: str
    details: Annotated[list[dict[str, Any]], items_are("Problem")]


class FailedItem(Result):
    """An item of a batch that was refused; ``key`` is null if the item has none."""

    key: str | int | None
    ok: Literal[False]
    error: ItemError


class BatchRendered(Result):
    """Answer of ``render.batch``: a result for each item, in their order."""

    template_id: str
    version: str
    version_id: str
    type: TemplateType
    rendered: int
    failed: int
    items: list[RenderedItem | FailedItem]


class Previewed(Finished):
    """Answer of ``render.preview``; ``variables`` is the schema, inferred if none was given.

    ``warnings`` are as in :class:`tasks.messages.versions.PublishedVersion`.
    """

    type: TemplateType
    language: str
    partials: Partials
    variables: Declarations
    defaulted: list[str]
    unused: list[str]
    warnings: Warned = Field(default_factory=list)
