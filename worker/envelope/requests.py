"""Headers and bodies checked when kombu and Celery have read the message already."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tasks.errors import InvalidMessage, Problem, ServiceError, TooLarge
from worker.envelope.fields import LONGEST_ID, moment


def broken(headers: object, payload: object) -> str | None:
    """Return why a message cannot become a task at all, or None.

    ``payload`` is the decoded body; protocol 2 has ``[args, kwargs, embed]`` there.
    """
    if not isinstance(headers, Mapping):
        return "the headers are no object"
    for name in ("task", "id"):
        value = headers.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID:
            return f"headers.{name} is not text of 1 to {LONGEST_ID} characters"
    if headers.get("compression") is not None:
        return "headers.compression is not allowed"
    match payload:
        case [list(), Mapping(), (Mapping() | None)]:
            return None
        case _:
            return "the body is not [args, kwargs, embed]"


def mended(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``headers`` without what is the service's to say, whatever the producer says."""
    own = {"timelimit": [None, None], "shadow": None, "stamped_headers": None, "stamps": None}
    return {**headers, **own}


def take_out_problems(headers: dict[str, Any], longest_wait: float) -> list[Problem]:
    """Return what is wrong with the headers, and take it out of ``headers``.

    ``longest_wait`` is how many seconds ahead an ETA may be: a message that waits longer than the
    broker's visibility timeout is handed out again and again.
    """
    problems = []
    retries = headers.get("retries")
    if retries is not None and (isinstance(retries, bool) or not isinstance(retries, int)):
        headers["retries"] = 0
        problems.append(_header("retries", "a whole number was expected"))
    for name in ("eta", "expires"):
        value = headers.get(name)
        if value is None:
            continue
        at = moment(value)
        if at is None:
            headers[name] = None
            problems.append(_header(name, "an ISO 8601 date and time was expected"))
        elif name == "eta" and (at - datetime.now(UTC)).total_seconds() > longest_wait:
            headers[name] = None
            problems.append(_header(name, f"at most {longest_wait:g} seconds ahead were expected"))
    return problems


def refusal(problems: list[Problem], size: int, limit: int) -> ServiceError | None:
    """Return the error of a message that is not worked on, or None. Sizes are bytes."""
    if size > limit:
        told = f"the message is {size} bytes, the limit is {limit}"
        return TooLarge.of(told, [{"path": "", "type": "too_large", "message": told}, *problems])
    if problems:
        return InvalidMessage.of("the headers of the message do not fit", problems)
    return None


def _header(name: str, message: str) -> Problem:
    return {"path": f"headers.{name}", "type": "header", "message": message}
