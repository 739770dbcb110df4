"""Types of settings that need checks of their own: addresses and cron schedules."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator

from tasks.jobs import JOBS

_ADDRESS: Final = re.compile(
    r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<host>[^\s:\[\]/]*)):(?P<port>\d{1,5})"
)
_HIGHEST_PORT: Final = 65_535
_DEFAULT_CRONS: Final = {job.cron for job in JOBS}


def host_and_port(text: str) -> tuple[str, int]:
    """Return the host, empty for all of the machine's, and the port of ``HOST:PORT``.

    Raises
    ------
    ValueError
        It is none.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > _HIGHEST_PORT:
        raise ValueError("HOST:PORT was expected, such as 127.0.0.1:9808, or :9808 for every host")
    return match["six"] or match["host"] or "", int(match["port"])


def _address(text: str) -> str:
    if text:
        host_and_port(text)
    return text


def _cron(text: str) -> str:
    if text in _DEFAULT_CRONS:  # for operators, who need no Celery
        return text
    from celery.schedules import ParseException, crontab  # noqa: PLC0415 - as above

    try:
        # It never comes on the 30th of February.
        crontab.from_string(text).remaining_delta(datetime.now(UTC))
    except (ParseException, ValueError, RuntimeError) as error:
        raise ValueError(f"five cron fields were expected, such as '0 2 * * *': {error}") from error
    return text


Address = Annotated[str, AfterValidator(_address)]
"""``HOST:PORT``, or empty."""
Cron = Annotated[str, BeforeValidator(_cron)]
