"""Times as operators write them."""

from datetime import UTC, datetime

import click
from click.testing import CliRunner

from tests.support.cases import each
from worker.cli.options import Moment


@click.command
@click.option("--to", type=Moment(), required=True)
def command(to: datetime) -> None:
    """Print what was understood."""
    click.echo(to.astimezone(UTC).isoformat())


@each(
    ("text", "understood", "is_told"),
    [
        ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00+00:00", False),
        ("2026-11-22 11:00:00.25+01:00", "2026-11-22T10:00:00.250000+00:00", False),
        ("2026-11-22T10:00:00", "2026-11-22T10:00:00+00:00", True),
        ("2026-11-22", "2026-11-22T00:00:00+00:00", True),
    ],
)
def test_a_time_without_a_zone_is_utc_and_that_is_said(
    text: str, understood: str, *, is_told: bool
) -> None:
    """An operator's watch may say otherwise."""
    done = CliRunner().invoke(command, ["--to", text])
    assert done.stdout.strip() == understood
    assert (f"{text} is taken as UTC" in done.stderr) is is_told


@each("text", ["soon", "10:00", "2026-13-01T00:00:00Z", ""])
def test_what_is_no_time_is_refused(text: str) -> None:
    """With one that is, to copy from."""
    done = CliRunner().invoke(command, ["--to", text])
    assert done.exit_code == 2
    assert "2026-11-22T10:00:00Z" in done.stderr
