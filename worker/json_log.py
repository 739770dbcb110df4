"""The log as JSON: one object a line, with the fields of events and of finished messages.

Celery logs a line for each message that is done; here it has the facts of :mod:`tasks.facts`. The
``repr`` of arguments, which Celery passes to its log, is left out: it may hold values.
"""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from celery import current_task
from celery.signals import after_setup_logger, after_setup_task_logger, celeryd_init

from tasks import facts

_TRACE: Final = "celery.app.trace"
_LOGGED: Final = ("template_id", "type", "version", "language", "code", "milliseconds")


class JsonFormatter(logging.Formatter):
    """Writes a record as a JSON object in ASCII, on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object."""
        written: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        if (event := getattr(record, "event", None)) is not None:
            written |= {"event": event, **record.__dict__["fields"]}
        elif record.name == _TRACE:
            written |= _of_message(record)
        if record.exc_info and not isinstance(record.exc_info, bool):
            written["traceback"] = self.formatException(record.exc_info)
        return json.dumps(written, default=str)


def connect() -> None:
    """Have Celery's loggers write JSON, in a worker, its pool processes and beat."""
    after_setup_logger.connect(_use_json)
    after_setup_task_logger.connect(_use_json)
    celeryd_init.connect(_print_no_banner)
    # Warnings come before Celery has set up its loggers, such as that about a worker run by root.
    logging.captureWarnings(capture=True)
    warnings = logging.getLogger("py.warnings")
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    warnings.addHandler(handler)
    warnings.propagate = False


def _of_message(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields of Celery's log line about a message."""
    data = getattr(record, "data", None)
    if not isinstance(data, Mapping):
        return {}
    request = getattr(current_task, "request", None)
    known: dict[str, Any] = dict(getattr(request, "facts", None) or {})
    if "return_value" in data:
        event = "task_succeeded"
        known |= facts.of_answer(data["return_value"])
        known["milliseconds"] = round(data.get("runtime", 0.0) * 1000, 1)
    elif "code" in known:
        event = "task_refused"
    else:
        event = "task_failed" if record.levelno >= logging.ERROR else "task_ended"
    shown: dict[str, Any] = {name: known[name] for name in _LOGGED if name in known}
    return {"event": event, "task": data.get("name"), "id": data.get("id"), **shown}


def _use_json(logger: logging.Logger, **_: object) -> None:
    for handler in logger.handlers:
        handler.setFormatter(JsonFormatter())


def _print_no_banner(instance: Any, **_: object) -> None:  # noqa: ANN401 - Celery ships no types
    instance.quiet = True
