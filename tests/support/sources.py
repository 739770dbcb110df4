"""Texts as the worker hands them to the engine, made of their sources."""

from collections.abc import Mapping
from typing import Any

from tasks.rendering.engine import Engine
from tasks.rendering.frames import encode
from tasks.rendering.preparation import Prepared
from tasks.rendering.texts import PartialText, Text, declaring
from tasks.rendering.values import wrapped
from tasks.rendering.variables import Schema


def source_of(
    body: str,
    kind: str = "in_app",
    subject: str | None = None,
    partials: Mapping[str, str] | None = None,
    language: str = "en",
) -> Text:
    """Return a text; its partials are given by their ids."""
    used = {
        name: PartialText(language=language, body=body) for name, body in (partials or {}).items()
    }
    return Text(type=kind, language=language, subject=subject, body=body, partials=used)


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return JSON values as the engine gets them."""
    return {name: wrapped(value) for name, value in values.items()}


def body_of(engine: Engine, text: Text, values: Mapping[str, Any]) -> str:
    """Render a body."""
    return rendered_body(engine, engine.prepare(text), given(values))


def rendered_body(
    engine: Engine, ready: Prepared, values: Mapping[str, Any], *, is_trial: bool = False
) -> str:
    """Render the body of a compiled text, with values as the engine gets them."""
    body = engine.part(ready, "body", values, is_trial=is_trial)
    assert body is not None
    return body


def declared_body(engine: Engine, text: Text, schema: Schema, values: Mapping[str, Any]) -> str:
    """Render a body with values of declared variables, on the path of a render."""
    bound, problems = schema.bind(values)
    assert problems == []
    ready = engine.prepare(declaring(text, schema))
    return rendered_body(engine, ready, engine.values(ready, encode(bound.values)))
