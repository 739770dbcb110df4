"""``template-service db``: the tables of the guide's monitoring, which change nothing."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Final

import click
from sqlalchemy import Engine

from db.monitoring import autovacuum as settings_of_autovacuum
from db.monitoring import bloat as room
from db.monitoring import extension
from db.monitoring.explain import explain as plan_of
from db.monitoring.pool import pool as connections_of
from db.monitoring.reader import reading
from worker.cli.operator import as_json, explained, operator_configuration, operator_engine
from worker.cli.tables import Duration, full_option, json_option, show

_AUTOVACUUM: Final = (
    "autovacuum",
    "autovacuum_analyze_scale_factor",
    "autovacuum_analyze_threshold",
    "autovacuum_freeze_max_age",
    "autovacuum_max_workers",
    "autovacuum_naptime",
    "autovacuum_vacuum_cost_delay",
    "autovacuum_vacuum_cost_limit",
    "autovacuum_vacuum_max_threshold",
    "autovacuum_vacuum_scale_factor",
    "autovacuum_vacuum_threshold",
    "track_counts",
)


@click.command()
@json_option
@explained
def connections(*, json_: bool) -> None:
    """Count the sessions by who they are and what they do."""
    _show(("limits", "connection_limits"), ("connections", "connections"), json_=json_)


@click.command()
@click.option("--over", type=Duration(), default="5s", show_default=True, help="How old at least.")
@full_option
@json_option
@explained
def long_queries(*, over: int, full: bool, json_: bool) -> None:
    """Show statements and open transactions that last long."""
    with _engine() as engine, reading(engine) as reader:
        show({"sessions": reader.rows("long_queries", seconds=over)}, json_=json_, full=full)


@click.command()
@json_option
@explained
def sizes(*, json_: bool) -> None:
    """Show disk space: of the database, and of each table with indexes and TOAST."""
    _show(("database", "database_size"), ("relations", "sizes"), json_=json_)


@click.command()
@json_option
@explained
def index_usage(*, json_: bool) -> None:
    """Show how often each index was used, and its size."""
    _show(("indexes", "index_usage"), json_=json_)


@click.command()
@json_option
@explained
def cache(*, json_: bool) -> None:
    """Show how much of what was read was in PostgreSQL's memory."""
    _show(("tables", "cache"), json_=json_)


@click.command()
@full_option
@json_option
@explained
def locks(*, full: bool, json_: bool) -> None:
    """Show who waits for a lock, and for whom."""
    _show(("waiting", "locks"), json_=json_, full=full)


@click.command()
@json_option
@explained
def missing_indexes(*, json_: bool) -> None:
    """Show foreign keys without an index, and tables that are read from end to end."""
    _show(("foreign_keys", "foreign_keys"), ("tables", "sequential_reads"), json_=json_)


@click.command()
@json_option
@explained
def statistics(*, json_: bool) -> None:
    """Show what the planner knows of each column; none of its values."""
    _show(("columns", "statistics"), json_=json_)


@click.command()
@click.argument("template_id", required=False)
@json_option
@explained
def explain(*, template_id: str | None, json_: bool) -> None:
    """Show the plan of the statement that a render runs, for TEMPLATE_ID or any template.

    The statement is run, read-only, and rolled back.
    """
    with _engine() as engine:
        plan = plan_of(engine, template_id)
    if json_:
        as_json(asdict(plan))
        return
    print("\n".join(plan.lines))
    print(f"\n{plan.template_id}: {plan.milliseconds} ms; {plan.verdict}")


@click.command()
@click.option(
    "--apply",
    is_flag=True,
    help="Set the guide's values on the three tables of templates; needs their owner.",
)
@json_option
@explained
def autovacuum(*, apply: bool, json_: bool) -> None:
    """Show autovacuum's settings, and how near each table is to it."""
    with _engine() as engine:
        if apply:
            settings_of_autovacuum.apply(engine)
        with reading(engine) as reader:
            found = {
                "settings": reader.rows("settings", names=list(_AUTOVACUUM)),
                "tables": reader.rows("autovacuum"),
            }
    show(found, json_=json_)


@click.command()
@click.option("--indexes", is_flag=True, help="Look at B-trees too; each is read whole.")
@click.option("--setup", is_flag=True, help="Create the extension pgstattuple, as a superuser.")
@json_option
@explained
def bloat(*, indexes: bool, setup: bool, json_: bool) -> None:
    """Show room that is taken without need, and what gives it back.

    With the extension pgstattuple tables are looked at on disk; without it their statistics are
    shown, and indexes cannot be.
    """
    with _engine() as engine:
        if setup:
            extension.create(engine, extension.TUPLES)
        show(room.bloat(engine, indexes=indexes), json_=json_)


@click.command()
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=os.cpu_count() or 1,
    help="Processes of all workers. [default: the processors here, as Celery has it]",
)
@json_option
@explained
def pool(*, processes: int, json_: bool) -> None:
    """Show how many connections the workers can open, beside how many there are."""
    chosen = operator_configuration()
    with operator_engine(chosen) as engine:
        found = asdict(connections_of(engine, chosen.database, processes))
    if json_:
        as_json(found)
        return
    sessions = found.pop("sessions")
    verdict = found.pop("verdict")
    show({"pool": [found], "connections": sessions}, json_=False)
    print(f"\n{verdict}")


@contextmanager
def _engine() -> Iterator[Engine]:
    with operator_engine(operator_configuration()) as engine:
        yield engine


def _show(*sections: tuple[str, str], json_: bool, full: bool = False) -> None:
    """Print the rows of queries, each under a name."""
    with _engine() as engine, reading(engine) as reader:
        found = {name: reader.rows(query) for name, query in sections}
    show(found, json_=json_, full=full)
