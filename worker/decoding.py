"""How the bodies of messages are decoded: as JSON, without what kombu adds to it."""

from typing import Any

import orjson
from kombu.serialization import register
from kombu.utils import json

from tasks.rendering.frames import has_long_number


def use_plain_json() -> None:
    """Decode ``application/json`` in half the time that kombu takes.

    kombu calls a function for each object, which makes dates and identifiers of those that are
    marked as such; messages of this service hold none. What is not JSON as RFC 8259 has it, or
    holds whole numbers beyond 64 bits, is left to kombu, so that it is explained as before.
    """
    register("json", json.dumps, _loads, "application/json", "utf-8")


def _loads(text: str | bytes) -> Any:  # noqa: ANN401 - any JSON value
    try:
        raw = text.encode() if isinstance(text, str) else bytes(text)
        if not has_long_number(raw):
            return orjson.loads(raw)
    except ValueError:
        pass
    return json.loads(text)
