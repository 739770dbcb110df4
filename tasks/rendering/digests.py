"""Digests of templates and versions: equal for equal contents, in every installation.

The database, a message and a folder write the same number in different ways (``1``, ``1.0``), and a
missing part as null or not at all; a digest does not depend on it. It does not cover names of
versions, times, or whether translations are stale.
"""

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from tasks.rendering.texts import PARTS

_FIELDS: Final = ("name", "type", "description", "category", "is_active", "metadata")


def version_digest(content: Mapping[str, Any]) -> str:
    """Return the digest of a version's contents, hex SHA-256.

    Parameters
    ----------
    content
        The four sources, ``format``, ``inline_css``, ``variables`` in stored form,
        ``metadata``, and ``translations`` with the four sources of each language. Members other
        than these are ignored, and all but ``body`` may be missing.
    """
    translations: Mapping[str, Mapping[str, Any]] = content.get("translations") or {}
    return _sha256(
        {
            **_parts(content),
            "format": content.get("format"),
            "inline_css": bool(content.get("inline_css")),
            "variables": content.get("variables") or [],
            "metadata": content.get("metadata") or {},
            "translations": {language: _parts(text) for language, text in translations.items()},
        }
    )


def template_digest(fields: Mapping[str, Any], version: str | None) -> str:
    """Return the digest of a template: of its own fields, and the digest of its current version."""
    return _sha256({**{field: fields.get(field) for field in _FIELDS}, "version": version})


def is_equal(one: object, other: object) -> bool:
    """Return whether two JSON values are the same, however their numbers are written."""
    return _written(one) == _written(other)


def _parts(text: Mapping[str, Any]) -> dict[str, Any]:
    return {part: text.get(part) for part in PARTS}


def _sha256(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(_written(content).encode()).hexdigest()


def _written(value: object) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value whose numbers are written in one way only."""
    if isinstance(value, float):
        # As PostgreSQL's jsonb has it: 1e+17 is a whole number there, with the digits of its text.
        exact = Decimal(repr(value))
        return int(exact) if exact == exact.to_integral_value() else value
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
