"""``template-service pitr``: back to any second since the first base backup."""

import sys
from dataclasses import asdict
from datetime import UTC, datetime

import click
from rich.filesize import decimal
from sqlalchemy.exc import DBAPIError

from db.recovery import server
from db.recovery.base_backup import Taken
from db.recovery.base_backup import base_backup as take_base_backup
from db.recovery.committed import committed_transactions
from db.recovery.setup import ARCHIVE_TIMEOUT_SECONDS, set_up, wanted
from db.recovery.status import RecoveryStatus, recovery_status
from db.session import is_transient
from worker.cli.operator import (
    as_json,
    as_table,
    confirmed,
    explained,
    operator_configuration,
    operator_engine,
)
from worker.cli.pitr_restore import restore
from worker.cli.pitr_shared import JSON, YES, Moment, archive_now
from worker.local.supervisor import permissions_explained


@click.group
def pitr() -> None:
    """Recover the database to a point in time."""


pitr.add_command(restore)


@pitr.command
@click.option(
    "--archive-timeout",
    type=click.IntRange(min=1),
    default=ARCHIVE_TIMEOUT_SECONDS,
    show_default=True,
    help="Seconds after which WAL is archived although its segment is not full.",
)
@YES
@JSON
@explained
def setup(*, archive_timeout: int, yes: bool, json_: bool) -> None:
    """Have the server archive its WAL, and prove that it does.

    Run it again after the restart that it may ask for, or any time: nothing is done twice.
    """
    chosen = operator_configuration()
    policy = chosen.operations.recovery
    with permissions_explained(), operator_engine(chosen) as engine:
        changes = wanted(engine, policy, archive_timeout=archive_timeout)
        for name, value in changes.items() if not json_ else ():
            print(f"ALTER SYSTEM SET {name} = '{value}'")
        if changes:
            confirmed("Change these settings of the server?", yes=yes)
        done = set_up(engine, chosen.client.programs, policy, archive_timeout=archive_timeout)
    if json_:
        as_json(asdict(done))
    elif done.restart:
        print(f"PostgreSQL must be restarted for: {', '.join(done.restart)}")
        print("The local stack: template-service down, then template-service up --detach")
        print("Then run this again, or: template-service pitr status")
    else:
        print(f"WAL is archived: {done.archived} is in {policy.wal}")


@pitr.command("base-backup")
@click.option("--full", is_flag=True, help="A full one, even if an incremental one would do.")
@click.option("--dry-run", is_flag=True, help="Say of which kind it would be, and do nothing.")
@JSON
@explained
def base_backup(*, full: bool, dry_run: bool, json_: bool) -> None:
    """Take a base backup, verify it, and remove those that are no longer needed."""
    chosen = operator_configuration()
    progress = _show_progress if sys.stderr.isatty() and not json_ else None
    with operator_engine(chosen) as engine:
        done = take_base_backup(
            chosen.client,
            engine,
            chosen.operations.recovery,
            full=full,
            dry_run=dry_run,
            progress=progress,
        )
    if progress is not None:
        click.echo(err=True)
    if json_:
        as_json(asdict(done))
    else:
        print(_told(done))


@pitr.command
@JSON
@explained
def status(*, json_: bool) -> None:
    """Say to which times one can go back, and what stands in the way. Exit status 1 if any."""
    chosen = operator_configuration()
    programs, policy = chosen.client.programs, chosen.operations.recovery
    with operator_engine(chosen) as engine:
        try:
            found = recovery_status(engine, programs, policy)
        except DBAPIError as error:
            if not is_transient(error):
                raise
            click.echo("the server does not answer: only the folders are looked at", err=True)
            found = recovery_status(None, programs, policy)
    if json_:
        as_json(asdict(found) | {"problems": found.problems})
    else:
        _show_status(found)
    if found.problems:
        sys.exit(1)


@pitr.command("restore-point")
@click.argument("name")
@JSON
@explained
def restore_point(*, name: str, json_: bool) -> None:
    """Give this moment a NAME to come back to, and have its WAL archived."""
    with operator_engine(operator_configuration()) as engine:
        lsn, segment = server.archive_now(engine, name)
    if json_:
        as_json({"name": name, "lsn": lsn, "segment": segment})
    else:
        print(f"{name} is at {lsn}, in {segment}, which is archived")


@pitr.command
@click.option("--from", "since", type=Moment(), required=True, help="First time.")
@click.option("--to", "until", type=Moment(), help="Last time; now by default.")
@click.option("--all", "all_", is_flag=True, help="Those too that deleted and dropped nothing.")
@JSON
@explained
def transactions(*, since: datetime, until: datetime | None, all_: bool, json_: bool) -> None:
    """List committed transactions by what they deleted, for restore --before-transaction.

    `dropped` counts files of tables and indexes, of which DROP and TRUNCATE leave new ones.
    """
    chosen = operator_configuration()
    with operator_engine(chosen) as engine:
        tables = server.tables(engine) if archive_now(engine) else {}
    found = committed_transactions(
        chosen.client.programs,
        chosen.operations.recovery,
        since=since,
        until=until or datetime.now(UTC),
        tables=tables,
    )
    shown = [each for each in found if all_ or each.deleted or each.dropped]
    if json_:
        as_json([asdict(each) for each in shown])
        return
    as_table(
        [
            {
                "transaction": str(each.transaction),
                "committed": each.at.isoformat(),
                "dropped": each.dropped,
                "deleted": _counts(each.deleted),
                "updated": _counts(each.updated),
                "inserted": _counts(each.inserted),
            }
            for each in shown
        ],
        empty="no such transaction was committed in that time",
    )


def _show_progress(done: int, whole: int) -> None:
    click.echo(f"\r{decimal(done)} of about {decimal(max(done, whole))}  ", nl=False, err=True)


def _told(done: Taken) -> str:
    if done.skipped:
        return "Another base backup is being taken"
    builds = f" that builds on {done.parent}" if done.parent is not None else ""
    if done.backup is None:
        return f"It would be {'a full' if done.parent is None else 'an incremental'} one{builds}"
    backup = done.backup
    seconds = (backup.ended_at - backup.started_at).total_seconds()
    size = decimal(backup.bytes)
    lines = [f"{backup.name}: {backup.kind}, {size} in {seconds:.1f} s, verified{builds}"]
    lines += [f"removed {name}" for name in done.removed]
    return "\n".join(lines)


def _show_status(found: RecoveryStatus) -> None:
    if (archiving := found.archiving) is not None:
        age = "" if archiving.age_seconds is None else f", {archiving.age_seconds:.0f} s ago"
        print(f"archive_mode    {archiving.mode}")
        print(f"last archived   {archiving.last_archived or 'nothing'}{age}")
        print(f"last failed     {archiving.last_failed or 'nothing'}")
        print(f"waiting         {'?' if archiving.waiting is None else archiving.waiting}")
    print(f"archive         {found.segments} segments, timeline {found.timeline}")
    if found.earliest is not None and found.latest is not None:
        print(f"reach           {found.earliest.isoformat()} to {found.latest.isoformat()}")
    as_table(
        [
            {
                "base_backup": reach.backup.name,
                "kind": reach.backup.kind,
                "builds_on": reach.backup.parent,
                "size": decimal(reach.backup.bytes),
                "earliest": "" if reach.earliest is None else reach.earliest.isoformat(),
                "latest": "" if reach.latest is None else reach.latest.isoformat(),
            }
            for reach in found.reaches
        ],
        empty="no base backup",
    )
    for problem in found.problems:
        print(f"! {problem}")


def _counts(rows: dict[str, int]) -> str:
    return ", ".join(f"{table} {count}" for table, count in rows.items())
