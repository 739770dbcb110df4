"""``template-service db slow-log`` and ``slow-queries``: what takes long."""

from collections.abc import Callable
from dataclasses import asdict

import click
from sqlalchemy import Engine

from db.monitoring import extension, slow_log
from db.monitoring.reader import reading
from db.monitoring.slow_log import SlowLog
from worker.cli.operator import as_json, explained, operator_configuration, operator_engine
from worker.cli.tables import full_option, json_option, show


@click.group("slow-log")
def slow_log_group() -> None:
    """Have the server log statements of this database that take long."""


@slow_log_group.command("on")
@click.option(
    "--milliseconds",
    type=click.IntRange(min=0),
    default=1000,
    show_default=True,
    help="From which duration on; 0 logs every statement.",
)
@json_option
@explained
def slow_log_on(*, milliseconds: int, json_: bool) -> None:
    """Switch it on, without the values of parameters; for sessions that begin from now on."""
    _tell(lambda engine: slow_log.switch_on(engine, milliseconds), json_=json_)


@slow_log_group.command("off")
@json_option
@explained
def slow_log_off(*, json_: bool) -> None:
    """Take back what "on" has set; the server's own settings count again."""
    _tell(slow_log.switch_off, json_=json_)


@slow_log_group.command("status")
@json_option
@explained
def slow_log_status(*, json_: bool) -> None:
    """Say whether it is on, from which duration, and where the log is."""
    _tell(slow_log.status, json_=json_)


@click.command()
@click.option("--rows", type=click.IntRange(min=1), default=10, show_default=True)
@click.option(
    "--setup", is_flag=True, help="Create the extension pg_stat_statements, as a superuser."
)
@click.option("--reset", is_flag=True, help="Forget what was counted for this database.")
@full_option
@json_option
@explained
def slow_queries(*, rows: int, setup: bool, reset: bool, full: bool, json_: bool) -> None:
    """Show the statements that take longest on average."""
    with operator_engine(operator_configuration()) as engine:
        if setup:
            extension.create(engine, extension.STATEMENTS)
        if reset:
            extension.reset_statements(engine)
        with reading(engine) as reader:
            extension.require_statements(reader)
            found = reader.rows("slow_queries", rows=rows)
    show({"statements": found}, json_=json_, full=full)


def _tell(do: Callable[[Engine], SlowLog], *, json_: bool) -> None:
    with operator_engine(operator_configuration()) as engine:
        state = do(engine)
    if json_:
        as_json(asdict(state))
        return
    if state.milliseconds is None:
        print("Slow statements are not logged.")
    else:
        whose = "this database" if state.here else "the whole server"
        values = "with" if state.values else "without"
        print(
            f"Statements of {state.milliseconds} ms and more are logged for {whose}, {values} the "
            "values of their parameters."
        )
    print(f"The log: {state.log}.")
    print("Sessions that are open keep the settings they began with: a worker's last an hour.")
