"""The types that a variable can be declared of: pure, no I/O."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from tasks.rendering.numbers import is_decimal_text

URL_SCHEMES = ("http", "https", "mailto", "tel", "sms")
# RFC 5321, section 4.5.3.1: local part and domain; no spaces, no controls. Whether it receives
# mail is for the delivery service to find out.
_EMAIL = re.compile(r"[^\s@<>\x00-\x1f\x7f]{1,64}@[^\s@<>\x00-\x1f\x7f]{1,255}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_BLANK = re.compile("[\x00-\x20]")


def mistyped(kind: str, value: Any) -> str | None:  # noqa: ANN401 - any JSON value
    """Return the expectation for type ``kind``, or None if ``value`` is of that type."""
    fits, expected = TYPES[kind]
    return None if fits(value) else expected


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_date(value: object) -> bool:
    if not isinstance(value, str) or _DATE.fullmatch(value) is None:
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_datetime(value: object) -> bool:
    if not isinstance(value, str) or _DATE.match(value) is None or len(value) < len("2026-01-31T0"):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_url(value: object) -> bool:
    if not isinstance(value, str) or _BLANK.search(value) is not None:
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    needs_host = parts.scheme in {"http", "https"}
    return parts.scheme in URL_SCHEMES and bool(parts.netloc if needs_host else parts.path)


TYPES: Final[Mapping[str, tuple[Callable[[object], bool], str]]] = {
    "string": (_is_text, "expected text"),
    "integer": (
        lambda value: isinstance(value, int) and not isinstance(value, bool),
        "expected a whole number",
    ),
    "number": (_is_number, "expected a number"),
    "decimal": (
        lambda value: is_decimal_text(value) if isinstance(value, str) else _is_number(value),
        "expected a number, or text such as '12.50'",
    ),
    "boolean": (lambda value: isinstance(value, bool), "expected true or false"),
    "date": (_is_date, "expected a date: YYYY-MM-DD (ISO 8601)"),
    "datetime": (
        _is_datetime,
        "expected a date and time: YYYY-MM-DDThh:mm:ss and an offset (RFC 3339)",
    ),
    "url": (
        _is_url,
        f"expected a URL without spaces that begins with one of {', '.join(URL_SCHEMES)}",
    ),
    "email": (
        lambda value: isinstance(value, str) and _EMAIL.fullmatch(value) is not None,
        "expected an e-mail address",
    ),
    "array": (lambda value: isinstance(value, list), "expected an array"),
    "object": (lambda value: isinstance(value, Mapping), "expected an object"),
    "markdown": (_is_text, "expected text, in Markdown"),
    "any": (lambda value: value is not None, "expected a value"),
}
