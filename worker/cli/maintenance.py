"""``template-service maintenance``: the scheduled maintenance by hand, and what its runs did."""

import uuid
from collections.abc import Callable
from typing import Any

import click

from db import runs
from db.runs import Run
from tasks.broker import Broker
from tasks.messages.base import Result
from tasks.messages.maintenance import Maintain
from tasks.runs import recorded
from tasks.runtime import Runtime
from tasks.services import maintenance as services
from worker.broker import SettingsBroker
from worker.cli.operator import (
    as_json,
    as_table,
    explained,
    operator_configuration,
    operator_engine,
)
from worker.settings import load

Do = Callable[[Maintain, Runtime], Result]
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Say what would be done, and do nothing."
)
json_option = click.option("--json", "is_json", is_flag=True, help="Print JSON.")


@click.group
def maintenance() -> None:
    """Run the scheduled maintenance by hand."""


@maintenance.command()
@dry_run_option
@json_option
@explained
def vacuum(*, dry_run: bool, is_json: bool) -> None:
    """Run VACUUM (ANALYZE) on each table."""
    _run("vacuum", services.vacuum, dry_run=dry_run, is_json=is_json)


@maintenance.command()
@dry_run_option
@json_option
@explained
def analyze(*, dry_run: bool, is_json: bool) -> None:
    """Renew the planner's statistics of each table."""
    _run("analyze", services.analyze, dry_run=dry_run, is_json=is_json)


@maintenance.command()
@dry_run_option
@json_option
@explained
def reindex(*, dry_run: bool, is_json: bool) -> None:
    """Build each index anew while it is in use, and drop invalid ones."""
    _run("reindex", services.reindex, dry_run=dry_run, is_json=is_json)


@maintenance.command()
@dry_run_option
@json_option
@explained
def purge_templates(*, dry_run: bool, is_json: bool) -> None:
    """Delete for good what was soft-deleted long ago."""
    _run("purge_templates", services.purge_templates, dry_run=dry_run, is_json=is_json)


@maintenance.command()
@dry_run_option
@json_option
@explained
def prune_versions(*, dry_run: bool, is_json: bool) -> None:
    """Delete old versions of each template, never the current one."""
    _run("prune_versions", services.prune_versions, dry_run=dry_run, is_json=is_json)


@maintenance.command()
@dry_run_option
@json_option
@explained
def prune_records(*, dry_run: bool, is_json: bool) -> None:
    """Delete old records of writes and runs, and old dead letters."""
    broker = SettingsBroker(load())
    _run("prune_records", services.prune_records, broker, dry_run=dry_run, is_json=is_json)


@maintenance.command()
@click.option("--task", help="The runs of one task, such as backup. Default: the newest of each.")
@click.option("--limit", default=20, show_default=True, help="How many runs of it.")
@json_option
@explained
def history(*, task: str | None, limit: int, is_json: bool) -> None:
    """Show which runs there were, how they ended and what they did."""
    with operator_engine(operator_configuration()) as engine:
        if task is None:
            found = [_shown(run) | {"last_done": _time(at)} for run, at in runs.newest(engine)]
        else:
            name = f"maintenance.{task.removeprefix('maintenance.').replace('-', '_')}"
            found = [_shown(run) for run in runs.of_task(engine, name, limit)]
    if is_json:
        as_json(found)
    else:
        for row in found:
            row["did"] = " ".join(f"{key}={value}" for key, value in row["did"].items())
        as_table(found, empty="no run yet")


def _run(name: str, do: Do, broker: Broker | None = None, *, dry_run: bool, is_json: bool) -> None:
    task, run_id = f"maintenance.{name}", str(uuid.uuid4())
    message = Maintain(dry_run=dry_run)
    process = Runtime(operator_configuration(), broker)
    result = recorded(task, run_id, message, process, do)
    if is_json:
        as_json(result)
    elif result["skipped"]:
        print("Skipped: the same task is under way elsewhere.")
    elif "tables" in result:
        rows = [{"table": name, "seconds": value} for name, value in result["tables"].items()]
        as_table(rows)
    else:
        would = "Would delete" if dry_run else "Deleted"
        print(f"{would} {result['deleted']} rows in {result['batches']} batches.")
        if result["skipped_batches"]:
            print(f"{result['skipped_batches']} batches met a lock: run it again for their rows.")
        if "dead_letters" in result:
            print(f"{would} {result['dead_letters']} dead letters.")


def _shown(run: Run) -> dict[str, Any]:
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
        "due": _time(run.due_at),
        "started": _time(run.started_at),
        "seconds": seconds,
        "did": did if run.error is None else {"error": run.error},
    }


def _time(moment: Any) -> str | None:  # noqa: ANN401 - of a row
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"
