"""``template-service pitr verify`` and ``pitr check``: the archive as a recovery would read it."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from db.units import counted, size
from worker.cli.base import Command
from worker.cli.operator import operator_configuration, operator_engine
from worker.cli.options import json_option
from worker.cli.output import print_json


@click.command(cls=Command, example="pitr verify")
@json_option
def verify(*, json_: bool) -> None:
    """Verify every archived WAL segment and every base backup. Exits 1 if there are problems.

    Reads all of them: checksums, system identifiers, timelines, and that no segment is missing.
    Needs no server.
    """
    from db.recovery.verify import REMEDY, verify_recovery

    configuration = operator_configuration()
    verified = verify_recovery(configuration.client.programs, configuration.operations.recovery)
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
    """Archive a WAL segment now, and verify that it arrives in the archive, whole."""
    from db.recovery.check import check_archive

    configuration = operator_configuration()
    with operator_engine(configuration) as engine:
        checked = check_archive(
            engine, configuration.client.programs, configuration.operations.recovery
        )
    if json_:
        print_json(asdict(checked))
        return
    print(f"{checked.segment} arrived in {checked.directory} in {checked.seconds:.1f} s")
