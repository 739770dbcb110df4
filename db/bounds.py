"""Bounds of settings and of stored facts.

A setting beyond them is a typing error, which stops the start. A stored fact is damaged.
"""

from datetime import UTC, datetime
from typing import Annotated, Final

from annotated_types import Interval
from pydantic import AfterValidator, AwareDatetime, StringConstraints

COUNT: Final = Interval(ge=1, le=2**31 - 1)
"""PostgreSQL's and Redis' numbers of things and seconds have 32 bits."""

COUNT_OR_NONE: Final = Interval(ge=0, le=2**31 - 1)

SECONDS: Final = Interval(gt=0, le=2_000_000)
"""PostgreSQL's timeouts are milliseconds in 32 bits."""

DAYS: Final = Interval(ge=1, le=36_500)
"""A hundred years: dates end in the year 9999."""

DAYS_OR_NONE: Final = Interval(ge=0, le=36_500)

BYTES: Final = Interval(ge=1, le=2**50)


def _in_utc(time: datetime) -> datetime:
    if not 1970 < time.year < 3000:  # noqa: PLR2004 - retention counts a hundred years from it
        raise ValueError("no time of a backup")
    return time.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
Lsn = Annotated[str, StringConstraints(pattern=r"^[0-9A-F]{1,8}/[0-9A-F]{1,8}$")]
