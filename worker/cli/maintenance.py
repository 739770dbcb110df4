"""``template-service maintenance``: run scheduled maintenance by hand; show the history of runs."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import click

from db.units import counted
from tasks.jobs import JOBS
from worker.cli.base import Group
from worker.cli.operator import operator_configuration, operator_engine
from worker.cli.options import dry_run_option, json_option, limit_option
from worker.cli.output import local_time, print_json, print_table

if TYPE_CHECKING:
    from db.runs import Run
    from tasks.broker import Broker
    from tasks.jobs import Job


@click.group(cls=Group, example="maintenance vacuum\nmaintenance history")
def maintenance() -> None:
    """Run scheduled maintenance by hand, and show the history of runs."""


@maintenance.command(example="maintenance history --task backup --limit 5")
@click.option("--task", help="A single task, such as backup (default: the newest run of each).")
@limit_option(20, "Maximum number of runs of the task.")
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


def _add(job: Job) -> None:
    """Make the command of a job."""

    @maintenance.command(job.command, help=job.summary, example=f"maintenance {job.command}")
    @dry_run_option
    @json_option
    def run(*, dry_run: bool, json_: bool) -> None:
        _run(job, dry_run=dry_run, json_=json_)


for _job in JOBS:
    if _job.has_command:
        _add(_job)


def _run(job: Job, *, dry_run: bool, json_: bool) -> None:
    from tasks.messages.maintenance import Maintain
    from tasks.runs import recorded
    from tasks.runtime import Runtime

    process = Runtime(operator_configuration(), _broker)
    message = Maintain(dry_run=dry_run)
    try:
        result = recorded(job.name, str(uuid.uuid4()), message, process, job.function())
    finally:
        process.close()
    if json_:
        print_json(result)
    elif "activated" in result:
        action = "Would activate" if dry_run else "Activated"
        print(f"{action} {counted(result['activated'], 'version')}, {result['failed']} failed.")
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


def _broker() -> Broker:
    """Return the broker of the settings, which only the jobs that use it need."""
    from worker.broker import SettingsBroker
    from worker.settings import load

    return SettingsBroker(load())


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
