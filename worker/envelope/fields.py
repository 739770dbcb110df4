"""Checks of single fields of an envelope: ids and times."""

from datetime import UTC, datetime, timedelta
from typing import Final

LONGEST_ID: Final = 255
"""In bytes: AMQP's limit for names, and the contract's for idempotency keys."""

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(9999, 12, 31, tzinfo=UTC) - timedelta(days=1)
"""One day before the last day of ``datetime``, so that every time zone can express it."""


def is_id(value: object) -> bool:
    """Return whether ``value`` is text that can name a task or a message everywhere.

    That is printable text of 1 to 255 bytes of UTF-8: it becomes part of keys, log lines, rows of
    Flower and AMQP's short strings. Lone surrogates are not printable, as Python sees it.
    """
    return (
        isinstance(value, str)
        and 0 < len(value) <= LONGEST_ID
        and value.isprintable()
        and (value.isascii() or len(value.encode()) <= LONGEST_ID)
    )


def is_reachable(value: object) -> bool:
    """Return whether an answer can be stored under ``value``, even if it is not a valid id."""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID or "\x00" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def moment(value: object) -> datetime | None:
    """Parse an ISO 8601 time as UTC; return None unless it is one from 1970 to 9999.

    A time without an offset is UTC, as in the Celery settings of this service.
    """
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        return None
    try:
        parsed = datetime.fromisoformat(value)
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=UTC)
        parsed = parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return parsed if EARLIEST <= parsed <= LATEST else None
