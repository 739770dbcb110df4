"""``template-service db``: read-only reports of the database's state."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Final

import click

from worker.cli.base import Command
from worker.cli.operator import operator_configuration, operator_engine
from worker.cli.options import Duration, full_option, json_option, limit_type
from worker.cli.output import print_json, print_sections

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


@click.command(cls=Command, example="db connections")
@json_option
def connections(*, json_: bool) -> None:
    """Count sessions by user, application and state."""
    _report(("limits", "connection_limits"), ("connections", "connections"), json_=json_)


@click.command(cls=Command, example="db long-queries --over 1m")
@click.option(
    "--over", type=Duration(), default="5s", show_default=True, help="Minimum running time."
)
@full_option
@json_option
def long_queries(*, over: int, full: bool, json_: bool) -> None:
    """Show long-running statements and open transactions."""
    from db.monitoring.reader import reading

    with operator_engine() as engine, reading(engine) as reader:
        sections = {"sessions": reader.rows("long_queries", seconds=over)}
    print_sections(sections, json_=json_, full=full)


@click.command(cls=Command, example="db sizes")
@json_option
def sizes(*, json_: bool) -> None:
    """Show the disk space of the database and of each table with its indexes and TOAST."""
    _report(("database", "database_size"), ("relations", "sizes"), json_=json_)


@click.command(cls=Command, example="db index-usage")
@json_option
def index_usage(*, json_: bool) -> None:
    """Show the size and the number of scans of each index."""
    _report(("indexes", "index_usage"), json_=json_)


@click.command(cls=Command, example="db cache")
@json_option
def cache(*, json_: bool) -> None:
    """Show each table's buffer cache hit ratio."""
    _report(("tables", "cache"), json_=json_)


@click.command(cls=Command, example="db locks")
@full_option
@json_option
def locks(*, full: bool, json_: bool) -> None:
    """Show sessions that wait for a lock, and the sessions that block them."""
    _report(("waiting", "locks"), json_=json_, full=full)


@click.command(cls=Command, example="db missing-indexes")
@json_option
def missing_indexes(*, json_: bool) -> None:
    """Show foreign keys without an index, and tables with many sequential scans."""
    _report(("foreign_keys", "foreign_keys"), ("tables", "sequential_reads"), json_=json_)


@click.command(cls=Command, example="db statistics")
@json_option
def statistics(*, json_: bool) -> None:
    """Show the planner's statistics of each column, without its values."""
    _report(("columns", "statistics"), json_=json_)


@click.command(cls=Command, example="db explain welcome_email")
@click.argument("template_id", required=False)
@json_option
def explain(*, template_id: str | None, json_: bool) -> None:
    """Show the query plan of a render. Without TEMPLATE_ID: of any template.

    Runs the statement in a read-only transaction and rolls it back.
    """
    from db.monitoring.explain import explain as plan_of

    with operator_engine() as engine:
        plan = plan_of(engine, template_id)
    if json_:
        print_json(asdict(plan))
        return
    print("\n".join(plan.lines))
    print(f"\n{plan.template_id}: {plan.milliseconds} ms; {plan.verdict}")


@click.command(cls=Command, example="db autovacuum\ndb autovacuum --apply")
@click.option(
    "--apply",
    is_flag=True,
    help="First apply the recommended settings; requires the tables' owner.",
)
@json_option
def autovacuum(*, apply: bool, json_: bool) -> None:
    """Show autovacuum's settings, and how close each table is to its next run."""
    from db.monitoring import autovacuum as settings_of_autovacuum
    from db.monitoring.reader import reading

    with operator_engine() as engine:
        if apply:
            settings_of_autovacuum.apply(engine)
        with reading(engine) as reader:
            sections = {
                "settings": reader.rows("settings", names=list(_AUTOVACUUM)),
                "tables": reader.rows("autovacuum"),
            }
    print_sections(sections, json_=json_)


@click.command(cls=Command, example="db bloat --indexes")
@click.option(
    "--indexes", is_flag=True, help="Also measure B-tree indexes; each is read completely."
)
@click.option(
    "--setup",
    is_flag=True,
    help="First create the extension pgstattuple; requires a superuser.",
)
@json_option
def bloat(*, indexes: bool, setup: bool, json_: bool) -> None:
    """Show bloat, and how to reclaim it.

    With the extension pgstattuple, tables are measured on disk. Without it, table statistics are
    shown and indexes cannot be measured.
    """
    from db.monitoring import extension
    from db.monitoring.bloat import bloat as measure

    with operator_engine() as engine:
        if setup:
            extension.create(engine, extension.TUPLES)
        sections = measure(engine, indexes=indexes)
    print_sections(sections, json_=json_)


@click.command(cls=Command, example="db pool --processes 16")
@click.option(
    "--processes",
    type=limit_type,
    default=os.cpu_count() or 1,
    help="Pool processes of all workers (default: this machine's processors, as in Celery).",
)
@json_option
def pool(*, processes: int, json_: bool) -> None:
    """Compare the connections that workers can open with the server's limit."""
    from db.monitoring.pool import pool as connections_of

    configuration = operator_configuration()
    with operator_engine(configuration) as engine:
        figures = asdict(connections_of(engine, configuration.database, processes))
    if json_:
        print_json(figures)
        return
    sessions = figures.pop("sessions")
    verdict = figures.pop("verdict")
    print_sections({"pool": [figures], "connections": sessions}, json_=False)
    print(f"\n{verdict}")


def _report(*sections: tuple[str, str], json_: bool, full: bool = False) -> None:
    """Print the rows of queries, each under a name."""
    from db.monitoring.reader import reading

    with operator_engine() as engine, reading(engine) as reader:
        rows = {name: reader.rows(query) for name, query in sections}
    print_sections(rows, json_=json_, full=full)
