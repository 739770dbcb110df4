"""What the commands of operators share: settings, errors that say what to do, tables and JSON."""

import functools
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import click
import psycopg
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from db.errors import OperationError
from db.session import make_engine
from tasks.runtime import Configuration
from worker.configuration import configuration
from worker.settings import Settings, SettingsError, environment_name, explain

P = ParamSpec("P")
R = TypeVar("R")
# No command here speaks to these; they need not be set where only the database is.
_UNUSED = {"broker_url": "redis://unused.invalid/0", "result_backend": "redis://unused.invalid/1"}


def operator_settings() -> Settings:
    """Return the settings, of which only DATABASE_URL must be set.

    Raises
    ------
    SettingsError
        Naming each wrong setting and what was expected.
    """
    absent = {
        field: value
        for field, value in _UNUSED.items()
        if not os.environ.get(environment_name(field))
    }
    try:
        return Settings(**absent)  # type: ignore[arg-type]  # checked by the model
    except ValidationError as error:
        raise SettingsError(f"template-service cannot start:\n{explain(error)}") from None


def operator_configuration() -> Configuration:
    """Return what :func:`operator_settings` mean for the database."""
    return configuration(operator_settings())


@contextmanager
def operator_engine(chosen: Configuration) -> Iterator[Engine]:
    """Yield an engine as the role of maintenance, closed at the end of the block."""
    engine = make_engine(chosen.maintenance, application_name="template-service operator")
    try:
        yield engine
    finally:
        engine.dispose()


def explained(command: Callable[P, R]) -> Callable[P, R]:
    """Have a command end with exit status 1 and a sentence for what an operator can mend."""

    @functools.wraps(command)
    def run(*arguments: P.args, **options: P.kwargs) -> R:
        try:
            return command(*arguments, **options)
        except OperationError as error:
            raise click.ClickException(f"{error.message}\n{error.remedy}") from error
        except (psycopg.Error, DBAPIError) as error:
            original = error.orig if isinstance(error, DBAPIError) else error
            diagnosis = getattr(original, "diag", None)
            told = getattr(diagnosis, "message_primary", None) or str(original).splitlines()[0]
            raise click.ClickException(f"PostgreSQL says: {told}") from error

    return run


def as_json(value: object) -> None:
    """Print ``value`` as JSON, for programs; times and ids become text."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def as_table(
    rows: Sequence[Mapping[str, Any]], *, title: str = "", empty: str = "nothing to show"
) -> None:
    """Print rows with the keys of the first as headings, or the sentence ``empty``.

    Colours are used on a terminal only; elsewhere columns are as wide as what is in them.
    """
    if not rows:
        print(empty)
        return
    console = Console(width=None if sys.stdout.isatty() else 10_000, highlight=True)
    table = Table(title=title or None, title_justify="left", box=None, header_style="bold")
    for heading, value in rows[0].items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        table.add_column(heading.replace("_", " "), justify="right" if is_number else "left")
    for row in rows:
        table.add_row(*("" if value is None else escape(str(value)) for value in row.values()))
    console.print(table)


def confirmed(question: str, *, yes: bool) -> None:
    """Ask before what cannot be undone; ``yes`` was the option that answers.

    Raises
    ------
    click.Abort
        The answer was no, or nobody is there to answer.
    """
    if not yes:
        click.confirm(question, abort=True)
