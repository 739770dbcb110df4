"""Facts of a message for logs, metrics and Flower: ids, numbers and codes, never values.

A pool process finishes a message, and the worker's main process counts it. What the main process
gets is the ``repr`` of an answer, or the exception of a refusal: the facts travel with these.
"""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from tasks.errors import ServiceError
from tasks.rendering import replaced

Facts = dict[str, str | int | float]

NAMES: Final = ("template_id", "type", "version", "language")
"""Keywords of messages that are facts; members of the answer replace them."""
REPLACED: Final = "replaced"
"""Fact about render processes that were replaced: ``limit:1,lost:2``."""
_FACT: Final = re.compile(r"(\w+)=([^ >]*)")


def of_message(message: object) -> Facts:
    """Return the facts that a validated message states."""
    return {
        name: str(value) if isinstance(value, str) else value
        for name in NAMES
        if isinstance(value := getattr(message, name, None), str | int) and value != ""
    }


def of_process() -> Facts:
    """Return the facts about this process since the last message."""
    counts = replaced.taken()
    return {REPLACED: ",".join(f"{cause}:{n}" for cause, n in counts.items())} if counts else {}


@contextmanager
def known(**facts: str) -> Iterator[None]:
    """Note facts, such as the template's type, with refusals that are raised in the block."""
    try:
        yield
    except ServiceError as error:
        error.__dict__["facts"] = facts
        raise


def complete(facts: Facts, error: Exception, began: float) -> None:
    """Add what an error says to the facts of its message, and attach them to the error.

    Parameters
    ----------
    began
        When the work began, by ``time.monotonic()``.
    """
    facts |= of_process()
    facts["milliseconds"] = round((time.monotonic() - began) * 1000, 1)
    if isinstance(error, ServiceError):
        facts["code"] = str(error.args[0])
        facts |= error.__dict__.get("facts", {})
    # celery.exceptions.Retry is pickled without attributes, the error inside it with them.
    target = getattr(error, "exc", None) or error
    if isinstance(target, BaseException):
        target.__dict__["facts"] = facts


def written(facts: Mapping[str, object]) -> str:
    """Return facts as the ``repr`` of an answer has them."""
    return f"<{' '.join(f'{name}={value}' for name, value in facts.items())}>"


def of_answer(text: object) -> dict[str, Any]:
    """Return the facts in the ``repr`` of an answer."""
    return dict(_FACT.findall(text)) if isinstance(text, str) else {}


def of_error(error: BaseException) -> dict[str, Any]:
    """Return the facts that are attached to an error."""
    facts = getattr(getattr(error, "exc", None) or error, "facts", None)
    return dict(facts) if isinstance(facts, dict) else {}
