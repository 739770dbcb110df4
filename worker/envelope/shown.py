"""Descriptions of arguments without their values, for logs, events and Flower."""

from collections.abc import Mapping
from typing import Any, Final

from tasks.messages.fields import TEMPLATE_ID, VERSION, canonical_language

LONGEST_NAME_SHOWN: Final = 30
MOST_NAMES_SHOWN: Final = 20


def shown(keywords: Mapping[str, Any]) -> str:
    """Describe keyword arguments: ids in full, of all others only type or size."""
    parts = []
    for key in list(keywords)[:MOST_NAMES_SHOWN]:
        name = key if key.isidentifier() and len(key) <= LONGEST_NAME_SHOWN else "?"
        parts.append(f"{name}={_shown_value(key, keywords[key])}")
    return f"<{' '.join(parts)}>"


def shown_positional(arguments: list[Any]) -> str:
    """Describe positional arguments by their number."""
    return f"({len(arguments)} items)" if arguments else "()"


def _shown_value(key: str, value: object) -> str:
    match value:
        case str():
            return value if _is_id(key, value) else f"({len(value)} characters)"
        case bool() | None:
            return str(value)
        case list() | Mapping():
            return f"({len(value)} items)"
        case _:
            return f"({type(value).__name__})"


def _is_id(key: str, value: str) -> bool:
    match key:
        case "template_id":
            return TEMPLATE_ID.match(value) is not None
        case "version" | "expected_version":
            return VERSION.match(value) is not None
        case "language" | "language_code":
            try:
                return canonical_language(value) == value
            except ValueError:
                return False
        case _:
            return False
