"""``template-service pitr verify`` and ``pitr check``: the archive as a recovery would read it."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from db.errors import OperationError
from db.units import counted, size
from worker.cli.base import Command, explanation
from worker.cli.operator import operator_configuration, operator_engine
from worker.cli.options import json_option
from worker.cli.output import print_json, print_result
from worker.cli.wal import archive_latest

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tasks.configuration import Configuration


@click.command(cls=Command, example="pitr verify")
@json_option
def verify(*, json_: bool) -> None:
    """Verify every archived WAL segment and every base backup. Exits 1 if there are problems.

    Reads all of them: checksums, system identifiers, timelines, and that no segment is missing.
    Needs no server.
    """
    from db.recovery.verify import REMEDY, verify_recovery

    configuration = operator_configuration()
    policies = configuration.operations
    verified = verify_recovery(
        configuration.client.programs, policies.recovery, policies.backup.scratch
    )
    if json_:
        print_json(asdict(verified))
    else:
        segments = counted(verified.segments, "segment")
        print(f"archive         {segments}, {size(verified.segment_bytes)}")
        print(f"base backups    {verified.base_backups}, {size(verified.base_bytes)}")
        for problem in verified.problems:
            print(f"! {problem.message}  [{problem.kind}]")
        print(f"fix: {REMEDY}" if verified.problems else "No problems found.")
    if verified.problems:
        sys.exit(1)


@click.command(cls=Command, example="pitr check")
@json_option
def check(*, json_: bool) -> None:
    """Archive a WAL segment now, and verify that it arrives in the archive completely."""
    from db.recovery.check import check_archive

    configuration = operator_configuration()
    with operator_engine(configuration) as engine:
        checked = check_archive(
            engine, configuration.client.programs, configuration.operations.recovery
        )
    sentence = f"{checked.segment} arrived in {checked.directory} in {checked.seconds:.1f} s"
    print_result(asdict(checked), sentence, json_=json_)


@click.command(cls=Command, example="pitr figures")
@json_option
def figures(*, json_: bool) -> None:
    """Record the row counts and checksums of all tables, for recovery drills to compare with."""
    from db.recovery import figures as recording

    configuration = operator_configuration()
    with operator_engine(configuration) as engine:
        recorded = recording.record(configuration.client, engine, configuration.operations.recovery)
    tables = {name: facts.model_dump() for name, facts in recorded.tables.items()}
    sentence = f"Recorded {counted(len(tables), 'table')} as of {recorded.at.isoformat()}"
    print_result(asdict(recorded) | {"tables": tables}, sentence, json_=json_)


@click.command(cls=Command, example="pitr drill")
@json_option
def drill(*, json_: bool) -> None:
    """Prove that the database can be recovered: verify all, recover to a random time, compare.

    Records the current row counts and checksums first, and archives their WAL. Verifies archived
    WAL and base backups, recovers a private copy to a random recorded moment, and compares every
    table with the row counts and checksums of that moment. The database itself is not changed.
    """
    from db.addresses import connection_options
    from db.recovery.drill import drill_recovery
    from worker.local.supervisor import permissions_explained

    configuration = operator_configuration()
    with operator_engine(configuration) as engine:
        _record_now(configuration, engine)
    with permissions_explained():
        proved = drill_recovery(
            configuration.client,
            configuration.operations.recovery,
            configuration.operations.backup,
            connection_options(configuration.maintenance.url).get("dbname", "postgres"),
            say=lambda step: click.echo(step, err=True),
        )
    if json_:
        print_json(asdict(proved))
        return
    for table, rows in proved.tables.items():
        print(f"{table:<26}{rows} rows, as recorded")
    print(
        f"verified          {counted(proved.segments, 'segment')}, "
        f"{counted(proved.base_backups, 'base backup')}"
    )
    print(f"recovered to      {proved.recovered_to.isoformat()} ({proved.lsn})")
    print(f"Recovery is proved, in {proved.seconds:.1f} s, from {', '.join(proved.base)}")


def _record_now(configuration: Configuration, engine: Engine) -> None:
    """Record the current row counts and checksums, and archive their WAL, if the server answers."""
    from sqlalchemy.exc import DBAPIError

    from db.recovery import figures as recording

    try:
        recording.record(configuration.client, engine, configuration.operations.recovery)
    except (OperationError, DBAPIError) as error:
        click.echo(f"Row counts and checksums were not recorded ({explanation(error)})", err=True)
    archive_latest(engine)
