"""``template-service pitr``: recovery of the database to a point in time."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from db.recovery.policy import ARCHIVE_TIMEOUT_SECONDS
from db.units import age, size
from worker.cli.base import Group
from worker.cli.operator import operator_configuration, operator_engine
from worker.cli.options import Moment, dry_run_option, json_option, yes_option
from worker.cli.output import confirm, print_json, print_result, print_table
from worker.cli.wal import archive_latest

if TYPE_CHECKING:
    from db.recovery.base_backup import BaseBackupResult
    from db.recovery.status import RecoveryStatus


@click.group(
    cls=Group,
    lazy={
        "check": "worker.cli.pitr_verify:check",
        "drill": "worker.cli.pitr_verify:drill",
        "figures": "worker.cli.pitr_verify:figures",
        "restore": "worker.cli.pitr_restore:restore",
        "verify": "worker.cli.pitr_verify:verify",
    },
    example="pitr status\npitr base-backup",
)
def pitr() -> None:
    """Recover the database to a point in time."""


@pitr.command(example="pitr setup")
@click.option(
    "--archive-timeout",
    type=click.IntRange(min=1),
    default=ARCHIVE_TIMEOUT_SECONDS,
    show_default=True,
    help="Seconds after which an incomplete WAL segment is archived.",
)
@yes_option
@json_option
def setup(*, archive_timeout: int, yes: bool, json_: bool) -> None:
    """Enable WAL archiving on the server, and verify that it works.

    Safe to repeat, for example after the server's restart if the command asks for one.
    """
    from db.recovery.setup import set_up, statements, wanted
    from worker.local.supervisor import permissions_explained

    configuration = operator_configuration()
    policy = configuration.operations.recovery
    with permissions_explained(), operator_engine(configuration) as engine:
        changes = wanted(engine, policy, archive_timeout=archive_timeout)
        for statement in statements(changes) if not json_ else ():
            print(statement)
        if changes:
            confirm("Change these settings of the server?", yes=yes)
        done = set_up(
            engine, configuration.client.programs, policy, archive_timeout=archive_timeout
        )
    if json_:
        print_json(asdict(done))
    elif done.restart:
        print(f"Restart PostgreSQL to apply: {', '.join(done.restart)}")
        print("The local stack: template-service down, then template-service up --detach")
        print("Then repeat this command, or run: template-service pitr status")
    else:
        print(f"WAL archiving works: {done.archived} is in {policy.storage.wal}")
        if policy.compress and (policy.storage.wal / str(done.archived)).exists():
            print("It is not compressed: install zstd on the server's machine")


@pitr.command("base-backup", example="pitr base-backup --full")
@click.option("--full", is_flag=True, help="Take a full base backup instead of an incremental one.")
@dry_run_option
@json_option
def base_backup(*, full: bool, dry_run: bool, json_: bool) -> None:
    """Take a base backup, verify it, and remove expired ones."""
    from db.recovery.base_backup import base_backup as take_base_backup
    from db.recovery.status import archive_problems
    from db.replication.servers import standby_client

    configuration = operator_configuration()
    client, policy = configuration.client, configuration.operations.recovery
    progress = _show_progress if sys.stderr.isatty() and not json_ else None
    with operator_engine(configuration) as engine:
        result = take_base_backup(
            client,
            engine,
            policy,
            source=standby_client(client, policy.standby),
            full=full,
            dry_run=dry_run,
            progress=progress,
            scratch=configuration.operations.backup.scratch,
        )
    if progress is not None:
        click.echo(err=True)
    problems = archive_problems(policy)
    if json_:
        print_json(asdict(result) | {"problems": problems})
        return
    print(_summary(result))
    for problem in problems:
        print(f"! {problem}")


@pitr.command(example="pitr status")
@json_option
def status(*, json_: bool) -> None:
    """Show the recoverable time range and any problems. Exits 1 if there are problems."""
    from sqlalchemy.exc import DBAPIError

    from db.recovery.status import recovery_status
    from db.session import is_transient

    configuration = operator_configuration()
    programs, policy = configuration.client.programs, configuration.operations.recovery
    with operator_engine(configuration) as engine:
        try:
            current = recovery_status(engine, programs, policy)
        except DBAPIError as error:
            if not is_transient(error):
                raise
            click.echo("The server is unavailable; only the files are checked", err=True)
            current = recovery_status(None, programs, policy)
    if json_:
        print_json(asdict(current) | {"ranges": current.ranges, "problems": current.problems})
    else:
        _print_status(current)
    if current.problems:
        sys.exit(1)


@pitr.command("restore-point", example="pitr restore-point before_the_import")
@click.argument("name")
@json_option
def restore_point(*, name: str, json_: bool) -> None:
    """Create a named restore point, and archive its WAL."""
    from db.recovery import server

    with operator_engine() as engine:
        lsn, segment = server.archive_now(engine, name)
    print_result(
        {"name": name, "lsn": lsn, "segment": segment},
        f"Restore point {name} is at {lsn}, in {segment}, which is archived",
        json_=json_,
    )


@pitr.command(example="pitr transactions --from 2026-11-22T09:00:00Z --to 2026-11-22T10:00:00Z")
@click.option("--from", "since", type=Moment(), required=True, help="Start time.")
@click.option("--to", "until", type=Moment(), help="End time (default: now).")
@click.option(
    "--all",
    "all_",
    is_flag=True,
    help="Include transactions that deleted or dropped nothing.",
)
@json_option
def transactions(*, since: datetime, until: datetime | None, all_: bool, json_: bool) -> None:
    """List committed transactions and their deletions, for restore --before-transaction.

    `dropped` counts files of tables and indexes; DROP and TRUNCATE remove files.
    """
    from db.recovery import server
    from db.recovery.committed import committed_transactions

    configuration = operator_configuration()
    with operator_engine(configuration) as engine:
        tables = server.tables(engine) if archive_latest(engine) else {}
    committed = committed_transactions(
        configuration.client.programs,
        configuration.operations.recovery,
        since=since,
        until=until or datetime.now(UTC),
        tables=tables,
    )
    shown = [each for each in committed if all_ or each.deleted or each.dropped]
    if json_:
        print_json([asdict(each) for each in shown])
        return
    print_table(
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
        empty="no such transaction in this time range",
    )


def _show_progress(done: int, whole: int) -> None:
    click.echo(f"\r{size(done)} of about {size(max(done, whole))}  ", nl=False, err=True)


def _summary(result: BaseBackupResult) -> str:
    if result.skipped:
        return "Skipped: another base backup is running"
    parent = f" based on {result.parent}" if result.parent is not None else ""
    if result.backup is None:
        return (
            f"Would take {'a full' if result.parent is None else 'an incremental'} backup{parent}"
        )
    backup = result.backup
    seconds = (backup.ended_at - backup.started_at).total_seconds()
    packed = "" if backup.packed_bytes is None else f", packed into {size(backup.packed_bytes)}"
    taken = f"{size(backup.bytes)} in {seconds:.1f} s"
    lines = [f"{backup.name}: {backup.kind}, {taken}, verified{packed}{parent}"]
    lines += [f"removed {name}" for name in result.removed]
    return "\n".join(lines)


def _print_status(current: RecoveryStatus) -> None:
    if (archiving := current.archiving) is not None:
        ago = "" if archiving.age_seconds is None else f", {age(archiving.age_seconds)} ago"
        print(f"archive mode    {archiving.mode}")
        print(f"last archived   {archiving.last_archived or 'nothing'}{ago}")
        print(f"last failed     {archiving.last_failed or 'nothing'}")
        print(f"waiting         {'?' if archiving.waiting is None else archiving.waiting}")
    others = [str(number) for number in current.timelines if number != current.timeline]
    left = f" (also of {', '.join(others)})" if others else ""
    print(f"archive         {current.segments} segments, timeline {current.timeline}{left}")
    for start, end in current.ranges:
        print(f"recoverable     {start.isoformat()} to {end.isoformat()}")
    print_table(
        [
            {
                "base_backup": reach.backup.name,
                "kind": reach.backup.kind,
                "based_on": reach.backup.parent,
                "size": size(reach.backup.bytes),
                "stored": size(reach.backup.packed_bytes or reach.backup.bytes),
                "earliest": "" if reach.earliest is None else reach.earliest.isoformat(),
                "latest": "" if reach.latest is None else reach.latest.isoformat(),
            }
            for reach in current.reaches
        ],
        empty="no base backup",
    )
    for problem in current.problems:
        print(f"! {problem}")


def _counts(rows: dict[str, int]) -> str:
    return ", ".join(f"{table} {count}" for table, count in rows.items())
