"""Messages and results of ``render.*``."""

import json
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo

from tasks.messages.base import JsonObject, Message, Result
from tasks.messages.fields import (
    Fallback,
    RequestedLanguage,
    TemplateId,
    TemplateType,
    VersionName,
    limits_of,
    within,
)


def _values(value: JsonObject, info: ValidationInfo) -> JsonObject:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    within(len(text.encode()), limits_of(info).variables_bytes, "variables")
    return value


Values = Annotated[JsonObject, AfterValidator(_values)]


class RenderOne(Message):
    """``render.one``: a finished subject and body, in the language nearest to ``language``."""

    template_id: TemplateId
    variables: Values = Field(default_factory=dict)
    language: RequestedLanguage | None = None
    version: VersionName | None = None
    fallback: Fallback = "closest"


class Rendered(Result):
    """Answer of ``render.one``.

    ``fallback_chain`` holds the languages that were looked for, from the requested one to the one
    used. ``defaulted`` names the variables that took their default, ``unused`` those given that the
    version does not declare. ``content_sha256`` is the hex SHA-256 of the subject (empty if null),
    one NUL byte and the body, in UTF-8.
    """

    template_id: str
    version: str
    version_id: str
    type: TemplateType
    requested_language: str | None
    language: str
    fallback_chain: list[str]
    subject: str | None
    body: str
    defaulted: list[str]
    unused: list[str]
    content_sha256: str
