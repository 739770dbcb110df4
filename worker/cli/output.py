"""Output of commands: JSON for programs, tables for people; and confirmations."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from db.units import age, size

if TYPE_CHECKING:
    from rich.table import Table

    from worker.local.stack import LocalStack

Row = Mapping[str, Any]
SHOWN_CHARACTERS: Final = 100


def print_json(value: object) -> None:
    """Print ``value`` as JSON, for programs; times and ids become text."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_result(value: object, sentence: str, *, json_: bool) -> None:
    """Print what a command has done: as JSON, or in a sentence."""
    if json_:
        print_json(value)
    else:
        print(sentence)


def print_addresses(stack: "LocalStack") -> None:
    """Print where Flower and the metrics of a running stack are."""
    print(f"{'Flower':<12}{stack.flower_url}")
    for name, url in stack.metrics_urls.items():
        print(f"{'Metrics':<12}{url} ({name})")
    print(f"With passwords, for a shell: . {stack.environment_file}; Flower is $FLOWER_URL there")


def print_table(rows: Sequence[Row], *, title: str = "", empty: str = "nothing to show") -> None:
    """Print rows with the keys of the first as headings, or the sentence ``empty``.

    Colours are used on a terminal only; elsewhere columns are as wide as their values.
    """
    if not rows:
        print(empty)
        return
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 10_000, highlight=True)
    console.print(_table(rows, title))


def _table(rows: Sequence[Row], title: str) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", box=None, header_style="bold")
    for heading, value in rows[0].items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        table.add_column(heading.replace("_", " "), justify="right" if is_number else "left")
    for row in rows:
        table.add_row(*("" if value is None else escape(str(value)) for value in row.values()))
    return table


def print_sections(
    sections: Mapping[str, Sequence[Row]], *, json_: bool, full: bool = False
) -> None:
    """Print named lists of rows: as one JSON object, or a table each.

    Parameters
    ----------
    sections
        The rows, by the name of their table.
    json_
        Print JSON: numbers without units, bytes and seconds as the columns' names say.
    full
        Leave the values in statements.
    """
    if json_:
        print_json(sections if full else _without_values(sections))
        return
    for number, (title, rows) in enumerate(_readable_sections(sections, full=full)):
        if number:
            print()
        print_table(rows, title=title, empty=f"{title}: nothing to show")


def section_tables(sections: Mapping[str, Sequence[Row]], *, full: bool) -> "list[Table]":
    """Return a table for each section that has rows, for a live display."""
    return [_table(rows, title) for title, rows in _readable_sections(sections, full=full) if rows]


def _readable_sections(
    sections: Mapping[str, Sequence[Row]], *, full: bool
) -> Iterator[tuple[str, list[Row]]]:
    for name, rows in (sections if full else _without_values(sections)).items():
        yield name.replace("_", " "), [_readable(row, full=full) for row in rows]


def _without_values(sections: Mapping[str, Sequence[Row]]) -> dict[str, list[Row]]:
    return {name: [_masked(row) for row in rows] for name, rows in sections.items()}


def confirm(question: str, *, yes: bool) -> None:
    """Ask before an action that cannot be undone, unless ``--yes`` was passed.

    Raises
    ------
    click.ClickException
        Standard input ended without an answer, and is not a terminal.
    click.Abort
        The answer was no.
    """
    if yes:
        return
    try:
        is_agreed = click.confirm(question)
    except click.Abort:
        if is_terminal():
            raise
        raise click.ClickException("Not a terminal; pass --yes") from None
    if not is_agreed:
        raise click.Abort


def is_terminal() -> bool:
    """Return whether a prompt can be answered: standard input is a terminal."""
    return sys.stdin.isatty()


def local_time(moment: datetime | None) -> str | None:
    """Return a time to the second in its own zone; None for None."""
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def _masked(row: Row) -> dict[str, Any]:
    from db.monitoring.masking import masked

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
            is_cut = not full and len(line) > SHOWN_CHARACTERS
            readable[key] = f"{line[:SHOWN_CHARACTERS]}…" if is_cut else line
        elif isinstance(value, str):
            readable[key] = _printable(value)
        elif isinstance(value, datetime):
            readable[key] = local_time(value)
        elif isinstance(value, bool):
            readable[key] = "yes" if value else "no"
        else:
            readable[key] = value
    return readable


def _printable(text: str) -> str:
    """Replace control characters: clients choose texts such as the application's name."""
    return "".join(character if character.isprintable() else "?" for character in text)
