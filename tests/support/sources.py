"""Texts as the worker hands them to the engine, made of their sources."""

from collections.abc import Mapping
from typing import Any

from tasks.rendering.engine import Engine
from tasks.rendering.texts import PartialText, Text
from tasks.rendering.values import wrapped


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
    return engine.body(engine.prepare(text), given(values))
