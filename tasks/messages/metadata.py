"""The free JSON object that templates and versions carry."""

import json
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from tasks.messages.base import JsonObject
from tasks.messages.described import described
from tasks.messages.fields import STEPS, canonical_language, json_without_nul, limits_of, within
from tasks.messages.python_values import MARK, converted


def _metadata(value: JsonObject, info: ValidationInfo) -> JsonObject:
    text = json.dumps(value, ensure_ascii=False)
    within(len(text.encode()), limits_of(info).variables_bytes, "metadata")
    json_without_nul(value)
    return {key: converted(item) for key, item in value.items()} if MARK in text else value


def _version_metadata(value: JsonObject, info: ValidationInfo) -> JsonObject:
    value = _metadata(value, info)
    if "language" not in value:
        return value
    return value | {"language": _own_language(value["language"])}


def _own_language(language: object) -> str:
    problem = "expected a language tag"
    if isinstance(language, str):
        try:
            return canonical_language(language)
        except ValueError as error:
            problem = str(error)
    context = {"problem": problem, STEPS: ("language",)}
    raise PydanticCustomError("language_code", "{problem}", context)


_SIZE = described(x_limit="variables_bytes")
Metadata = Annotated[JsonObject, AfterValidator(_metadata), _SIZE]
VersionMetadata = Annotated[JsonObject, AfterValidator(_version_metadata), _SIZE]
