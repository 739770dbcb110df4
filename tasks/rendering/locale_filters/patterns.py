"""Patterns of dates and times that are legal and say something else than was meant (UTS 35)."""

import re
from typing import Final

FORMATS: Final = frozenset({"short", "medium", "long", "full"})
MOMENTS: Final = ("date", "time", "datetime")
"""The filters that take a pattern."""

_QUOTED: Final = re.compile(r"'[^']*'")
_HOUR_AND_MONTH: Final = re.compile("[hHkK]+[^A-Za-z\x00]?M")


def mistaken(pattern: str) -> str | None:
    """Return what is wrong with a pattern whose fields are known, and what to write, or None.

    Most of these print what was meant on most days, so that no test of June finds them.
    """
    bare = _QUOTED.sub("\x00", pattern)
    letters = {letter for letter in bare if letter.isalpha()}
    has_week_year, has_week = "Y" in letters, "w" in letters
    rules = (
        (
            has_week_year and not has_week,
            "Y is the year of a week, around New Year not that of the date: write y, or add w",
        ),
        (
            has_week_year and letters & set("MLdDQq"),
            "Y is the year of a week, around New Year not that of a day or month: write y",
        ),
        (
            has_week and "y" in letters and not has_week_year,
            "w counts the weeks of the year Y, which around New Year is not y: write YYYY",
        ),
        (
            "D" in letters and letters & set("MLd"),
            "D is the day of the year: write d for the day of the month",
        ),
        (_HOUR_AND_MONTH.search(bare), "M is the month: write m for minutes"),
        (
            "m" in letters and not letters & set("hHkK"),
            "m is minutes: write M for the month, or add the hours",
        ),
        (
            letters & set("hK") and "a" not in letters,
            "h and K count twelve hours: write H, or add a for a.m. and p.m.",
        ),
    )
    return next((message for is_wrong, message in rules if is_wrong), None)
