"""``template-service db slow-log`` and ``slow-queries``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from worker.cli.base import Command, Group
from worker.cli.operator import operator_engine
from worker.cli.options import full_option, json_option, limit_option
from worker.cli.output import print_json, print_sections

if TYPE_CHECKING:
    from db.monitoring.slow_log import SlowLog


@click.group("slow-log", cls=Group, example="db slow-log status")
def slow_log_group() -> None:
    """Control the server's log of slow statements of this database."""


@slow_log_group.command("on", example="db slow-log on --milliseconds 500")
@click.option(
    "--milliseconds",
    type=click.IntRange(0, 2**31 - 1),
    default=1000,
    show_default=True,
    help="Minimum duration; 0 logs every statement.",
)
@json_option
def slow_log_on(*, milliseconds: int, json_: bool) -> None:
    """Log slow statements of new sessions, without the values of their parameters."""
    from db.monitoring import slow_log

    with operator_engine() as engine:
        state = slow_log.switch_on(engine, milliseconds)
    _print(state, json_=json_)


@slow_log_group.command("off", example="db slow-log off")
@json_option
def slow_log_off(*, json_: bool) -> None:
    """Reset this database to the server's own settings."""
    from db.monitoring import slow_log

    with operator_engine() as engine:
        state = slow_log.switch_off(engine)
    _print(state, json_=json_)


@slow_log_group.command("status", example="db slow-log status")
@json_option
def slow_log_status(*, json_: bool) -> None:
    """Show whether slow statements are logged, the minimum duration, and the log's location."""
    from db.monitoring import slow_log

    with operator_engine() as engine:
        state = slow_log.status(engine)
    _print(state, json_=json_)


@click.command(cls=Command, example="db slow-queries --rows 20")
@limit_option(10, "Maximum number of statements.", "--rows")
@click.option(
    "--setup",
    is_flag=True,
    help="First create the extension pg_stat_statements; requires a superuser.",
)
@click.option("--reset", is_flag=True, help="First reset this database's statistics.")
@full_option
@json_option
def slow_queries(*, rows: int, setup: bool, reset: bool, full: bool, json_: bool) -> None:
    """Show the statements with the highest average time."""
    from db.monitoring import extension
    from db.monitoring.reader import reading

    with operator_engine() as engine:
        if setup:
            extension.create(engine, extension.STATEMENTS)
        if reset:
            extension.reset_statements(engine)
        with reading(engine) as reader:
            extension.require_statements(reader)
            statements = reader.rows("slow_queries", rows=rows)
    print_sections({"statements": statements}, json_=json_, full=full)


def _print(state: SlowLog, *, json_: bool) -> None:
    if json_:
        print_json(asdict(state))
        return
    if state.milliseconds is None:
        print("Slow statements are not logged.")
    else:
        scope = "this database" if state.here else "the whole server"
        values = "with" if state.values else "without"
        print(
            f"Statements of {state.milliseconds} ms and more are logged for {scope}, {values} the "
            "values of their parameters."
        )
    print(f"Log: {state.log}.")
    print("Open sessions keep their settings; a worker's sessions last up to an hour.")
