"""A message as the worker's main process takes it: its headers checked, its values hidden.

Celery believes what a producer's headers say: time limits, counts, times, tasks to call, texts to
show. Here they are checked before anything is done, and what is wrong becomes the message's answer
(:attr:`Request.refusal` travels to the task base with the request).
"""

import logging
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from billiard.einfo import ExceptionInfo, ExceptionWithTraceback
from celery.exceptions import WorkerLostError
from celery.worker import request as celery_request
from celery.worker import state

from tasks.errors import InvalidMessage, PoisonMessage, Problem, ServiceError, TooLarge
from tasks.messages.fields import TEMPLATE_ID, VERSION, canonical_language
from worker import dead_letters
from worker.settings import load

logger = logging.getLogger(__name__)

FORBIDDEN_CALLBACKS = re.compile(r"maintenance\.")
CALLBACK_FIELDS = ("callbacks", "errbacks", "chain", "chord")


class Request(celery_request.Request):  # type: ignore[misc]  # Celery ships no types
    """A message on its way to a pool process."""

    def __init__(self, message: Any, **options: Any) -> None:  # noqa: ANN401 - Celery's arguments
        settings = load()
        headers = dict(options.pop("headers", None) or message.headers)
        problems = list(header_problems(headers, settings.visibility_timeout // 2))
        super().__init__(message, headers=headers, **options)
        args, kwargs, embed = self._payload
        problems += callback_problems(embed or {}, settings.callbacks)
        if problems:
            # Nothing that a refused message asks for is done.
            self.request_dict.update(dict.fromkeys(CALLBACK_FIELDS))
            self._body, self._decoded = (args, kwargs, dict.fromkeys(CALLBACK_FIELDS)), True
            self._content_type = self._content_encoding = None
            self.__dict__["_payload"] = self._body
        # Shown in logs, events, inspect and Flower in place of what the producer sent along.
        self._argsrepr = self.request_dict["argsrepr"] = "()" if not args else f"<{len(args)}>"
        self._kwargsrepr = self.request_dict["kwargsrepr"] = shown(kwargs)
        self.request_dict["refusal"] = refusal(
            problems, len(message.body), settings.limits.message_bytes
        )
        self.time_limits = (None, None)
        self.name = self._type

    def info(self, safe: bool = False) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002 - Celery's signature
        """Return what ``inspect`` may show: never the arguments themselves."""
        information: dict[str, Any] = super().info(safe=True)
        return information

    def on_failure(
        self,
        exc_info: ExceptionInfo,
        send_failed_event: bool = True,  # noqa: FBT001, FBT002 - Celery's signature
        return_ok: bool = False,  # noqa: FBT001, FBT002 - Celery's signature
    ) -> None:
        """Make a dead letter of a message whose process died each time it was tried."""
        error = exc_info.exception
        if isinstance(error, ExceptionWithTraceback):
            error = error.exc
        tries = self._context.retries + 1
        if (
            not isinstance(error, WorkerLostError)
            or tries <= self.task.max_retries
            or self._success_was_stored()
        ):
            super().on_failure(exc_info, send_failed_event, return_ok)
            return
        state.task_ready(self)
        poison = PoisonMessage.of(
            f"the message ended its process {tries} times and is a dead letter now",
            [{"path": "", "type": "poison", "message": "its process ended each time"}],
        )
        dead_letters.keep(self.app, self.message, f"{poison.code}: {poison.message}")
        self.task.backend.mark_as_failure(
            self.id, poison, request=self._context, store_result=self.store_errors
        )
        self.acknowledge()
        self.send_event("task-failed", exception=repr(poison), traceback="")
        logger.error("Task %s[%s] is a dead letter: %r", self.name, self.id, poison)


def header_problems(headers: dict[str, Any], longest_wait: int) -> Iterator[Problem]:
    """Yield what is wrong with the headers of a message, and take it out of ``headers``.

    ``longest_wait`` is how many seconds ahead an ETA may be: a message that waits longer than the
    broker's visibility timeout is handed out again and again.
    """
    if not isinstance(headers.get("retries") or 0, int) or isinstance(headers.get("retries"), bool):
        headers["retries"] = 0
        yield _header("retries", "a whole number was expected")
    for name in ("eta", "expires"):
        value = headers.get(name)
        if value is None:
            continue
        moment = _moment(value)
        if moment is None:
            headers[name] = None
            yield _header(name, "an ISO 8601 date and time was expected")
        elif name == "eta" and (moment - datetime.now(UTC)).total_seconds() > longest_wait:
            headers[name] = None
            yield _header(name, f"at most {longest_wait} seconds ahead were expected")
    # Time limits are the service's; a stamp's or a group's text would be shown as it is.
    headers["timelimit"] = [None, None]
    headers["shadow"] = None
    if headers.get("stamped_headers") is not None or headers.get("stamps") is not None:
        for name in headers.get("stamped_headers") or ():
            headers.pop(str(name), None)
        headers.pop("stamped_headers", None)
        headers.pop("stamps", None)


def callback_problems(embed: Mapping[str, Any], allowed: str) -> list[Problem]:
    """Return a problem for each task in ``embed`` that this worker may not call.

    ``allowed`` is a regular expression that a whole task name must match.
    """
    pattern = re.compile(allowed)
    problems = []
    for field in CALLBACK_FIELDS:
        for name in _task_names(embed.get(field)):
            if name is None:
                problems.append(_header(field, "a task signature was expected"))
            elif FORBIDDEN_CALLBACKS.match(name) or pattern.fullmatch(name) is None:
                problems.append(_header(field, "calls a task that callbacks may not call"))
    return problems


def refusal(problems: list[Problem], size: int, limit: int) -> ServiceError | None:
    """Return the error of a message that is not worked on, or None."""
    if size > limit:
        told = f"the message is {size} bytes, the limit is {limit}"
        return TooLarge.of(told, [{"path": "", "type": "too_large", "message": told}, *problems])
    if problems:
        return InvalidMessage.of("the headers of the message do not fit", problems)
    return None


def shown(kwargs: object) -> str:
    """Return keyword arguments for people: ids as they are, of all else only the size."""
    if not isinstance(kwargs, Mapping):
        return "<not an object>"
    parts = []
    for key in sorted(kwargs, key=str)[:20]:
        value = kwargs[key]
        name = key if str(key).isidentifier() and len(str(key)) <= 30 else "?"  # noqa: PLR2004 - longest name of the contract and some
        parts.append(f"{name}={_shown_value(str(key), value)}")
    return f"<{' '.join(parts)}>"


def _shown_value(key: str, value: object) -> str:
    if isinstance(value, str):
        if (key == "template_id" and TEMPLATE_ID.match(value)) or (
            key.endswith("version") and VERSION.match(value)
        ):
            return value
        if key in {"language", "language_code"}:
            try:
                return canonical_language(value)
            except ValueError:
                pass
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, str | list | Mapping):
        return f"({type(value).__name__} of {len(value)})"
    return f"({type(value).__name__})"


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
