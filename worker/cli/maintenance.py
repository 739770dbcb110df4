"""``template-service maintenance``: run scheduled maintenance by hand; show the history of runs."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import click

from db.units import counted
from worker.cli.base import Group
from worker.cli.operator import operator_configuration, operator_engine
from worker.cli.options import dry_run_option, json_option
from worker.cli.output import local_time, print_json, print_table

if TYPE_CHECKING:
    from db.runs import Run
    from tasks.broker import Broker


@click.group(cls=Group, example="maintenance vacuum\nmaintenance history")
def maintenance() -> None:
    """Run scheduled maintenance by hand, and show the history of runs."""


@maintenance.command(example="maintenance vacuum")
@dry_run_option
@json_option
def vacuum(*, dry_run: bool, json_: bool) -> None:
    """Run VACUUM (ANALYZE) on each table."""
    _run("vacuum", dry_run=dry_run, json_=json_)


@maintenance.command(example="maintenance analyze")
@dry_run_option
@json_option
def analyze(*, dry_run: bool, json_: bool) -> None:
    """Update the planner's statistics of each table."""
    _run("analyze", dry_run=dry_run, json_=json_)


@maintenance.command(example="maintenance reindex")
@dry_run_option
@json_option
def reindex(*, dry_run: bool, json_: bool) -> None:
    """Rebuild each index while it is in use, and drop invalid ones."""
    _run("reindex", dry_run=dry_run, json_=json_)


@maintenance.command(example="maintenance purge-templates --dry-run")
@dry_run_option
@json_option
def purge_templates(*, dry_run: bool, json_: bool) -> None:
    """Permanently delete templates that were soft-deleted long ago."""
    _run("purge_templates", dry_run=dry_run, json_=json_)


@maintenance.command(example="maintenance prune-versions --dry-run")
@dry_run_option
@json_option
def prune_versions(*, dry_run: bool, json_: bool) -> None:
    """Delete old versions of each template, never the current one."""
    _run("prune_versions", dry_run=dry_run, json_=json_)


@maintenance.command(example="maintenance prune-records --dry-run")
@dry_run_option
@json_option
def prune_records(*, dry_run: bool, json_: bool) -> None:
    """Delete old idempotency records, runs of maintenance, and dead letters."""
    from worker.broker import SettingsBroker
    from worker.settings import load

    _run("prune_records", SettingsBroker(load()), dry_run=dry_run, json_=json_)


@maintenance.command(example="maintenance history --task backup --limit 5")
@click.option("--task", help="A single task, such as backup (default: the newest run of each).")
@click.option("--limit", default=20, show_default=True, help="Maximum number of runs of the task.")
@json_option
def history(*, task: str | None, limit: int, json_: bool) -> None:
    """Show runs of maintenance: state, times and result."""
    from db import runs

    with operator_engine() as engine:
        if task is None:
            rows = [_row(run) | {"last_done": local_time(at)} for run, at in runs.newest(engine)]
        else:
            name = f"maintenance.{task.removeprefix('maintenance.').replace('-', '_')}"
            rows = [_row(run) for run in runs.of_task(engine, name, limit)]
    if json_:
        print_json(rows)
        return
    for row in rows:
        row["did"] = " ".join(f"{key}={value}" for key, value in row["did"].items())
    print_table(rows, empty="no run yet")


def _run(name: str, broker: Broker | None = None, *, dry_run: bool, json_: bool) -> None:
    from tasks.messages.maintenance import Maintain
    from tasks.runs import recorded
    from tasks.runtime import Runtime
    from tasks.services import maintenance as services

    task, run_id = f"maintenance.{name}", str(uuid.uuid4())
    process = Runtime(operator_configuration(), broker)
    result = recorded(task, run_id, Maintain(dry_run=dry_run), process, getattr(services, name))
    if json_:
        print_json(result)
    elif result["skipped"]:
        print("Skipped: the same task is running elsewhere.")
    elif "tables" in result:
        print_table([{"table": name, "seconds": value} for name, value in result["tables"].items()])
    else:
        action = "Would delete" if dry_run else "Deleted"
        batches = counted(result["batches"], "batch")
        print(f"{action} {counted(result['deleted'], 'row')} in {batches}.")
        if result["skipped_batches"]:
            skipped = counted(result["skipped_batches"], "batch")
            print(f"{skipped} skipped because of a lock: run it again for their rows.")
        if "dead_letters" in result:
            print(f"{action} {counted(result['dead_letters'], 'dead letter')}.")


def _row(run: Run) -> dict[str, Any]:
    seconds = (
        round((run.finished_at - run.started_at).total_seconds(), 1)
        if run.finished_at and run.started_at
        else None
    )
    did = {
        key: value
        for key, value in (run.result or {}).items()
        if isinstance(value, int | float | str) and key not in {"dry_run", "skipped"}
    }
    return {
        "task": run.task,
        "state": run.state,
        "due": local_time(run.due_at),
        "started": local_time(run.started_at),
        "seconds": seconds,
        "did": did if run.error is None else {"error": run.error},
    }
