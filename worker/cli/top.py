"""``template-service db top``: the database's sessions, locks, waits and sizes, live."""

from __future__ import annotations

import sys
import time

import click

from worker.cli.base import Command
from worker.cli.operator import operator_engine
from worker.cli.options import full_option, json_option
from worker.cli.output import print_sections, section_tables


@click.command(cls=Command, example="db top\ndb top --once --json")
@click.option(
    "--interval",
    type=click.FloatRange(0.2, 3600),
    default=2.0,
    show_default=True,
    help="Seconds between two readings.",
)
@click.option("--once", is_flag=True, help="Read once; the default without a terminal.")
@full_option
@json_option
def top(*, interval: float, once: bool, full: bool, json_: bool) -> None:
    """Show sessions, locks, waits and sizes until Ctrl-C. The command's own session is omitted."""
    from db.monitoring.top import moment

    with operator_engine() as engine:
        if once or json_ or not sys.stdout.isatty():
            print_sections(moment(engine), json_=json_, full=full)
            return
        from rich.console import Group
        from rich.live import Live

        with Live(screen=True, auto_refresh=False) as live:
            try:
                while True:
                    live.update(Group(*section_tables(moment(engine), full=full)), refresh=True)
                    time.sleep(interval)
            except KeyboardInterrupt:
                pass
