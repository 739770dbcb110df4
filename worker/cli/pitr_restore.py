"""``template-service pitr restore``: a data directory as it was at a moment."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from db.errors import OperationError
from db.recovery.restore import RestoredCluster
from db.recovery.restore import restore as restore_cluster
from db.recovery.target import Target
from db.session import connection_options
from worker.cli.operator import (
    as_json,
    confirmed,
    explained,
    operator_configuration,
    operator_engine,
)
from worker.cli.pitr_shared import JSON, YES, Moment, archive_now
from worker.local.stack import local_directory
from worker.local.supervisor import permissions_explained, supervising
from worker.local.swap import restore_directory, swap_data


@click.command
@click.option("--to", "time", type=Moment(), help="A time: 2026-11-22T10:00:00Z.")
@click.option("--restore-point", metavar="NAME", help="A name that was given before.")
@click.option(
    "--before-transaction", type=click.IntRange(min=3), metavar="NUMBER", help="Without this one."
)
@click.option("--latest", is_flag=True, help="All that was archived.")
@click.option("--into", type=click.Path(path_type=Path), help="The data directory to make.")
@click.option("--replace-local", is_flag=True, help="Put it in place of the local stack's own.")
@click.option("--from", "base", metavar="NAME", help="The base backup to begin with.")
@click.option(
    "--timeline", type=click.IntRange(min=1), help="The timeline to go along, if not the newest."
)
@YES
@JSON
@explained
def restore(  # noqa: PLR0913 - its options
    *,
    time: datetime | None,
    restore_point: str | None,
    before_transaction: int | None,
    latest: bool,
    into: Path | None,
    replace_local: bool,
    base: str | None,
    timeline: int | None,
    yes: bool,
    json_: bool,
) -> None:
    """Make a data directory as it was at a moment, and prove it by starting it.

    Nothing that is there is changed. With --replace-local the local stack is stopped then, its
    data directory kept under another name, and the stack started again on the new one.
    """
    if (
        sum([time is not None, restore_point is not None, before_transaction is not None, latest])
        != 1
    ):
        raise click.UsageError(
            "one of --to, --restore-point, --before-transaction and --latest is needed"
        )
    if (into is None) != replace_local:
        raise click.UsageError("one of --into and --replace-local is needed")
    chosen = operator_configuration()
    with permissions_explained():
        if replace_local:
            confirmed("Stop the local stack and replace its data?", yes=yes)
            if latest and supervising(local_directory()) is not None:
                raise OperationError(
                    "still_running",
                    "the local stack runs and may write on, so that there is no latest",
                    "stop it first: template-service down",
                )
        with operator_engine(chosen) as engine:
            archive_now(engine)
        done = restore_cluster(
            chosen.client.programs,
            chosen.operations.recovery,
            connection_options(chosen.maintenance.url).get("dbname", "postgres"),
            Target(time, restore_point, before_transaction),
            into if into is not None else restore_directory(local_directory()),
            base=base,
            timeline=timeline,
            say=lambda step: click.echo(step, err=True),
        )
        swapped = swap_data(local_directory(), done.directory) if replace_local else None
    if json_:
        as_json(asdict(done) | {"exchanged": None if swapped is None else asdict(swapped)})
        return
    _show_restored(done)
    if swapped is not None:
        print(f"The local stack uses it now; its previous data directory: {swapped.kept}")
        print("It runs again" if swapped.started else "Start it: template-service up --detach")
    print("Take a new base backup when it runs: template-service pitr base-backup --full")


def _show_restored(done: RestoredCluster) -> None:
    proof = done.proof
    last = "none" if proof.last_transaction_at is None else proof.last_transaction_at.isoformat()
    print(f"{done.directory} is ready, made of {', '.join(done.base)} in {done.seconds:.1f} s")
    print(f"last transaction  {last}")
    print(f"replayed to       {proof.lsn}, timeline {proof.timeline} from here on")
    print(f"migration         {proof.revision or 'none'}")
    for table, rows in proof.tables.items():
        print(f"{table:<26}{rows} rows")
