"""The type of a setting that is a schedule: five cron fields, in UTC."""

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import BeforeValidator

from tasks.jobs import JOBS

_DEFAULTS: Final = {job.cron for job in JOBS}


def _cron(text: str) -> str:
    if text in _DEFAULTS:  # for operators, who need no Celery
        return text
    from celery.schedules import ParseException, crontab  # noqa: PLC0415 - as above

    try:
        # It never comes on the 30th of February.
        crontab.from_string(text).remaining_delta(datetime.now(UTC))
    except (ParseException, ValueError, RuntimeError) as error:
        raise ValueError(f"five cron fields were expected, such as '0 2 * * *': {error}") from error
    return text


Cron = Annotated[str, BeforeValidator(_cron)]
