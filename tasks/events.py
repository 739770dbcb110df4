"""Structured log events: a static name, then ids, numbers and seconds as ``key=value`` (logfmt).

Only names, ids, counts, sizes, seconds and error codes are logged; never the value of a variable,
nor anything else that a producer wrote but ids and task names.
"""

import json
import logging
import re
from typing import Final

_BARE: Final = re.compile(r"[\w.@:/+<>-]+", re.ASCII)
_LONGEST: Final = 200
Value = str | int | float | None


def log_event(
    logger: logging.Logger, event: str, /, *, level: int = logging.INFO, **fields: Value
) -> None:
    """Log an event; fields that are None are left out.

    A handler that writes JSON finds the name and the fields in the record, as ``event`` and
    ``fields``.
    """
    if logger.isEnabledFor(level):
        known = {key: value for key, value in fields.items() if value is not None}
        text = " ".join([event, *(f"{key}={_written(value)}" for key, value in known.items())])
        logger.log(level, "%s", text, extra={"event": event, "fields": known})


def _written(value: str | float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)[:_LONGEST]
    return text if _BARE.fullmatch(text) else json.dumps(text)
