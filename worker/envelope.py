"""The envelope of a message: Celery's protocol 2, checked before anything is done with it.

Celery believes what a producer's headers say: time limits, counts, times, tasks to call, texts to
show. https://docs.celeryq.dev/en/stable/internals/protocol.html has the protocol.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from tasks.errors import InvalidMessage, Problem, ServiceError, TooLarge
from tasks.messages.fields import TEMPLATE_ID, VERSION, canonical_language

FORBIDDEN_CALLBACKS: Final = re.compile(r"maintenance\.")
CALLBACK_FIELDS: Final = ("callbacks", "errbacks", "chain", "chord")
LONGEST_ID: Final = 255
LONGEST_NAME_SHOWN: Final = 30
MOST_NAMES_SHOWN: Final = 20


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
        moment = _moment(value)
        if moment is None:
            headers[name] = None
            problems.append(_header(name, "an ISO 8601 date and time was expected"))
        elif name == "eta" and (moment - datetime.now(UTC)).total_seconds() > longest_wait:
            headers[name] = None
            problems.append(_header(name, f"at most {longest_wait:g} seconds ahead were expected"))
    return problems


def callback_problems(embed: Mapping[str, Any], allowed: re.Pattern[str]) -> list[Problem]:
    """Return a problem for each task in ``embed`` that this service may not call."""
    problems = []
    for field in CALLBACK_FIELDS:
        value = embed.get(field)
        for name in _task_names(value) if value else ():
            if name is None:
                problems.append(_header(field, "a task signature was expected"))
            elif FORBIDDEN_CALLBACKS.match(name) or allowed.fullmatch(name) is None:
                problems.append(_header(field, "calls a task that callbacks may not call"))
    return problems


def refusal(problems: list[Problem], size: int, limit: int) -> ServiceError | None:
    """Return the error of a message that is not worked on, or None. Sizes are bytes."""
    if size > limit:
        told = f"the message is {size} bytes, the limit is {limit}"
        return TooLarge.of(told, [{"path": "", "type": "too_large", "message": told}, *problems])
    if problems:
        return InvalidMessage.of("the headers of the message do not fit", problems)
    return None


def shown(keywords: Mapping[str, Any]) -> str:
    """Return keyword arguments for people: ids as they are, of all else kind and size only."""
    parts = []
    for key in list(keywords)[:MOST_NAMES_SHOWN]:
        name = key if key.isidentifier() and len(key) <= LONGEST_NAME_SHOWN else "?"
        parts.append(f"{name}={_shown_value(key, keywords[key])}")
    return f"<{' '.join(parts)}>"


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


def _task_names(value: object) -> Iterator[str | None]:
    """Yield the task names of a signature, or None for what is none, however deep."""
    stack = [value]
    while stack:
        item = stack.pop()
        if item is None:
            continue
        if isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, Mapping) and isinstance(item.get("task"), str):
            yield item["task"]
            options = item.get("options")
            if isinstance(options, Mapping):
                stack.extend(options.get(name) for name in ("link", "link_error", "chain", "chord"))
            inner = item.get("kwargs")
            if item.get("subtask_type") and isinstance(inner, Mapping):
                stack.extend(inner.get(name) for name in ("tasks", "header", "body", "task"))
        else:
            yield None


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _header(name: str, message: str) -> Problem:
    return {"path": f"headers.{name}", "type": "header", "message": message}
