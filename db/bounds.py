"""Bounds of settings. A number beyond them is a typing error, which stops the start."""

from typing import Final

from annotated_types import Interval

COUNT: Final = Interval(ge=1, le=2**31 - 1)
"""PostgreSQL's and Redis' numbers of things and seconds have 32 bits."""

COUNT_OR_NONE: Final = Interval(ge=0, le=2**31 - 1)

SECONDS: Final = Interval(gt=0, le=2_000_000)
"""PostgreSQL's timeouts are milliseconds in 32 bits."""

DAYS: Final = Interval(ge=1, le=36_500)
"""A hundred years: dates end in the year 9999."""

DAYS_OR_NONE: Final = Interval(ge=0, le=36_500)

BYTES: Final = Interval(ge=1, le=2**50)
