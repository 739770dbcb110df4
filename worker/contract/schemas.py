"""JSON Schemas of messages and results, from their pydantic models."""

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from pydantic.json_schema import models_json_schema

from tasks.messages.render import UsedPartial
from tasks.messages.variables import DeclaredVariable
from tasks.messages.versions import TextWarning
from worker.contract.celery_schemas import PROBLEM
from worker.contract.declared import DeclaredTask
from worker.contract.examples import EXAMPLES
from worker.settings import environment_name

if TYPE_CHECKING:
    from tasks.messages.base import Message, Result

Schema = dict[str, Any]
PREFIX: Final = "#/components/schemas/"
NAMED_ONLY: Final = (UsedPartial, DeclaredVariable, TextWarning)
"""Models that results name with ``x-items`` and ``x-model``, for JSON that is not validated."""

_MARKUP: Final = (
    (re.compile(r":\w+:`(?:[\w.]+\.)?(\w+)`"), r"`\1`"),
    (re.compile(r"``"), "`"),
    (re.compile(r"(?<!\n)\n(?!\n)"), " "),
)


def schemas_of(tasks: Iterable[DeclaredTask]) -> dict[str, Schema]:
    """Return the schemas of all models of ``tasks``, by name.

    Schemas of results allow unknown members: a newer service may add some.
    """
    messages: dict[type[Message | Result], None] = {}
    results: dict[type[Message | Result], None] = dict.fromkeys(NAMED_ONLY)
    for task in tasks:
        messages |= dict.fromkeys([task.message, *task.message.one_by_one.values()])
        results[task.result] = None
    _, taken = models_json_schema(
        [(model, "validation") for model in messages], ref_template=f"{PREFIX}{{model}}"
    )
    _, given = models_json_schema(
        [(model, "serialization") for model in results], ref_template=f"{PREFIX}{{model}}"
    )
    for schema in given["$defs"].values():
        if schema.get("additionalProperties") is False:
            del schema["additionalProperties"]
    schemas: dict[str, Schema] = {"Problem": PROBLEM} | given["$defs"] | taken["$defs"]
    for schema in schemas.values():
        for each in parts_of(schema):
            _finish(each)
    for task in tasks:
        schemas[task.message.__name__]["examples"] = EXAMPLES[task.name]
    return dict(sorted(schemas.items()))


def parts_of(schema: object) -> Iterator[Schema]:
    """Yield a schema and all schemas inside it."""
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from parts_of(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from parts_of(value)


def _finish(schema: Schema) -> None:
    """Replace what pydantic or :mod:`tasks.messages.described` wrote for this module."""
    if isinstance(schema.get("title"), str) and "properties" not in schema:
        del schema["title"]  # pydantic's, of the member's name
    if isinstance(model := schema.pop("x-items", None), str):
        schema["items"] = {"$ref": PREFIX + model}
    if isinstance(model := schema.pop("x-model", None), str):
        schema.clear()
        schema["$ref"] = PREFIX + model
    if isinstance(limit := schema.get("x-limit"), str):
        schema["x-limit"] = environment_name("limits", limit)
    if isinstance(text := schema.get("description"), str):
        for pattern, replacement in _MARKUP:
            text = pattern.sub(replacement, text)
        schema["description"] = text
