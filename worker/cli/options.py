"""Options and types of values that several commands have, each in one wording."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LSN: Final = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})", re.ASCII)
_DURATION: Final = re.compile(r"(\d+)\s*([smhd])", re.ASCII)
LONGEST: Final = 36_500 * 86_400

json_option = click.option("--json", "json_", is_flag=True, help="Output as JSON.")
yes_option = click.option("--yes", is_flag=True, help="Skip the confirmation prompt.")
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Show what would be done; change nothing."
)
full_option = click.option(
    "--full",
    is_flag=True,
    help="Show whole statements with their values, which may be personal data.",
)
limit_type = click.IntRange(1, 1_000_000)
directory_argument = click.argument("directory", type=click.Path(path_type=Path))


def limit_option(default: int, meaning: str, name: str = "--limit") -> Callable[[F], F]:
    """Return the option for the maximum number of rows to show."""
    return click.option(name, type=limit_type, default=default, show_default=True, help=meaning)


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
            self.fail("expected a number with s, m, h or d, such as 10m", param, ctx)
        seconds = int(match[1]) * _UNITS[match[2]]
        if seconds > LONGEST:
            self.fail("expected at most 36500d", param, ctx)
        return seconds


class Moment(click.ParamType[datetime]):
    """A time in ISO 8601; one without a zone is taken as UTC, with a note on standard error."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the time, with its zone."""
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a time such as 2026-11-22T10:00:00Z", param, ctx)
        if moment.tzinfo is None:
            click.echo(f"{value} is taken as UTC", err=True)
            return moment.replace(tzinfo=UTC)
        return moment


class Lsn(click.ParamType[int]):
    """An LSN such as ``0/3000028``, as a number."""

    name = "lsn"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the number."""
        if isinstance(value, int):
            return value
        if (match := _LSN.fullmatch(str(value))) is None:
            self.fail(f"{value!r} is not an LSN such as 0/3000028", param, ctx)
        return (int(match[1], 16) << 32) + int(match[2], 16)
