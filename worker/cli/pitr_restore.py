"""``template-service pitr restore``: a data directory recovered to a point in time."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from db.errors import OperationError
from worker.cli.base import Command
from worker.cli.operator import operator_configuration, operator_engine
from worker.cli.options import Lsn, Moment, json_option, yes_option
from worker.cli.output import confirm, print_json
from worker.cli.wal import archive_latest

if TYPE_CHECKING:
    from datetime import datetime

    from db.recovery.restore import RestoredCluster


@click.command(
    cls=Command,
    example="pitr restore --to 2026-11-22T10:00:00Z --replace-local\n"
    "pitr restore --latest --into recovered",
)
@click.option("--to", "time", type=Moment(), help="Target time, such as 2026-11-22T10:00:00Z.")
@click.option("--restore-point", metavar="NAME", help="Target: a named restore point.")
@click.option(
    "--before-transaction",
    type=click.IntRange(min=3),
    metavar="NUMBER",
    help="Target: just before this transaction ID.",
)
@click.option(
    "--lsn",
    type=Lsn(),
    help="Target: just before this LSN, such as 0/3000028 (pg_current_wal_lsn).",
)
@click.option("--latest", is_flag=True, help="Target: the end of the archived WAL.")
@click.option("--into", type=click.Path(path_type=Path), help="New data directory.")
@click.option("--replace-local", is_flag=True, help="Replace the local stack's data directory.")
@click.option("--from", "base", metavar="NAME", help="Base backup (default: the newest suitable).")
@click.option("--timeline", type=click.IntRange(min=1), help="Timeline (default: the newest).")
@yes_option
@json_option
def restore(  # noqa: PLR0913 - its options
    *,
    time: datetime | None,
    restore_point: str | None,
    before_transaction: int | None,
    lsn: int | None,
    latest: bool,
    into: Path | None,
    replace_local: bool,
    base: str | None,
    timeline: int | None,
    yes: bool,
    json_: bool,
) -> None:
    """Restore a base backup and replay WAL up to a target; start the result once to verify it.

    Changes no existing data. With --replace-local the local stack is then stopped, its data
    directory renamed, and the stack started again on the recovered one.
    """
    from db.addresses import connection_options
    from db.recovery.restore import restore as restore_cluster
    from db.recovery.target import Target
    from worker.directories import local_directory
    from worker.local.supervisor import permissions_explained, supervising
    from worker.local.swap import restore_directory, swap_data

    named = [time, restore_point, before_transaction, lsn]
    if len([value for value in named if value is not None]) + latest != 1:
        raise click.UsageError(
            "pass exactly one of --to, --restore-point, --before-transaction, --lsn and --latest"
        )
    if (into is None) != replace_local:
        raise click.UsageError("pass exactly one of --into and --replace-local")
    configuration = operator_configuration()
    with permissions_explained():
        if replace_local:
            confirm("Stop the local stack and replace its data?", yes=yes)
            if latest and supervising(local_directory()) is not None:
                raise OperationError(
                    "still_running",
                    "--latest is undefined while the local stack is running and writing",
                    "stop it first: template-service down",
                )
        with operator_engine(configuration) as engine:
            archive_latest(engine)
        restored = restore_cluster(
            configuration.client.programs,
            configuration.operations.recovery,
            connection_options(configuration.maintenance.url).get("dbname", "postgres"),
            Target(time, restore_point, before_transaction, lsn),
            into if into is not None else restore_directory(local_directory()),
            base=base,
            timeline=timeline,
            say=lambda step: click.echo(step, err=True),
        )
        swapped = swap_data(local_directory(), restored.directory) if replace_local else None
    if json_:
        print_json(asdict(restored) | {"exchanged": None if swapped is None else asdict(swapped)})
        return
    _print(restored)
    if swapped is not None:
        print(f"Local stack: recovered; previous data directory: {swapped.kept}")
        state = (
            "It is running again" if swapped.started else "Start it: template-service up --detach"
        )
        print(state)
    print("Take a new base backup once it runs: template-service pitr base-backup --full")


def _print(restored: RestoredCluster) -> None:
    proof = restored.proof
    last = "none" if proof.last_transaction_at is None else proof.last_transaction_at.isoformat()
    bases = ", ".join(restored.base)
    print(f"{restored.directory} is ready, from base backup {bases}, in {restored.seconds:.1f} s")
    print(f"last transaction  {last}")
    print(f"replayed to       {proof.lsn}; new timeline {proof.timeline}")
    print(f"migration         {proof.revision or 'none'}")
    for table, rows in proof.tables.items():
        print(f"{table:<26}{rows} rows")
