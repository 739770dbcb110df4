"""How rows of the database's statistics are shown: whole for programs, short for people."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import click

from db.monitoring.checks.finding import age, size
from db.monitoring.masking import masked
from worker.cli.operator import as_json, as_table

Row = Mapping[str, Any]
SHOWN_CHARACTERS: Final = 100
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION: Final = re.compile(r"(\d+)\s*([smhd])")

json_option = click.option("--json", "json_", is_flag=True, help="Print JSON.")
full_option = click.option(
    "--full",
    is_flag=True,
    help="Show statements whole, with the values in them, which may be personal data.",
)


class Duration(click.ParamType[int]):
    """A time span such as ``30s``, ``10m``, ``1h`` or ``2d``, in seconds."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the seconds."""
        if isinstance(value, int):
            return value
        if (match := _DURATION.fullmatch(str(value))) is None:
            self.fail("a number with s, m, h or d was expected, such as 10m", param, ctx)
        return int(match[1]) * _UNITS[match[2]]


def show(sections: Mapping[str, Sequence[Row]], *, json_: bool, full: bool = False) -> None:
    """Print named lists of rows: as one JSON object, or a table each.

    Parameters
    ----------
    sections
        The rows by what they are.
    json_
        Print JSON: numbers without units, bytes and seconds as the columns' names say.
    full
        Leave the values in statements.
    """
    if not full:
        sections = {name: [_masked(row) for row in rows] for name, rows in sections.items()}
    if json_:
        as_json(sections)
        return
    for place, (name, rows) in enumerate(sections.items()):
        if place:
            print()
        title = name.replace("_", " ")
        shown = [_readable(row, full=full) for row in rows]
        as_table(shown, title=title, empty=f"{title}: nothing to show")


def _masked(row: Row) -> dict[str, Any]:
    return {
        key: masked(value) if key.endswith("query") and value is not None else value
        for key, value in row.items()
    }


def _readable(row: Row, *, full: bool) -> dict[str, Any]:
    """Return the row for a person, with ``1.5 GiB`` for bytes and ``2 h 5 min`` for seconds."""
    readable: dict[str, Any] = {}
    for key, value in row.items():
        name, _, unit = key.rpartition("_")
        if unit in {"bytes", "seconds"}:
            write = size if unit == "bytes" else age
            readable[name or "size"] = None if value is None else write(value)
        elif key.endswith("query") and value is not None:
            line = _printable(" ".join(value.split()))
            cut = not full and len(line) > SHOWN_CHARACTERS
            readable[key] = f"{line[:SHOWN_CHARACTERS]}…" if cut else line
        elif isinstance(value, str):
            readable[key] = _printable(value)
        elif isinstance(value, datetime):
            readable[key] = f"{value:%Y-%m-%d %H:%M:%S}"
        elif isinstance(value, bool):
            readable[key] = "yes" if value else "no"
        else:
            readable[key] = value
    return readable


def _printable(text: str) -> str:
    """Return the text without what a terminal would obey: whoever connects chooses it."""
    return "".join(character if character.isprintable() else "?" for character in text)
