"""``template-service db doctor`` and ``report``: the state of database and broker."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from db.errors import Kind, OperationError
from worker.cli.base import Command
from worker.cli.operator import operator_engine, operator_settings
from worker.cli.options import json_option
from worker.cli.output import print_json, print_sections

if TYPE_CHECKING:
    from db.monitoring.checks.finding import Expected, Finding, Limits
    from tasks.broker import Backlog
    from tasks.configuration import Configuration
    from tasks.messages.report import Report
    from worker.settings import Settings

_COLOURS: Final = {"error": "red", "warning": "yellow", "notice": "cyan"}


@click.command(cls=Command, example="db doctor")
@json_option
def doctor(*, json_: bool) -> None:
    """Check the database, its backups and the broker, and show how to fix each problem.

    The broker is checked if CELERY_BROKER_URL is set. Exits 1 on an error or a warning; notices
    are for information.
    """
    from db.monitoring.doctor import alarming

    findings = _findings(operator_settings())
    if json_:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            click.secho(f"{finding.severity}: {finding.what}", fg=_COLOURS[finding.severity])
            print(f"    why: {finding.why}\n    fix: {finding.remedy}  [{finding.id}]")
        if not findings:
            print("No problems found.")
    if alarming(findings):
        sys.exit(1)


@click.command(cls=Command, example="db report --json\ndb report --history --days 30")
@click.option(
    "--history", is_flag=True, help="Show sizes and slow statements of each day instead of now."
)
@click.option(
    "--days",
    type=click.IntRange(1, 36_500),
    default=30,
    show_default=True,
    help="Number of days, from today back.",
)
@json_option
def report(*, history: bool, days: int, json_: bool) -> None:
    """Show the figures of maintenance.report, without writing its metrics file.

    The history is what the runs of maintenance.report have recorded.
    """
    if history:
        from db.monitoring.history import history as of_days

        with operator_engine() as engine:
            sections = of_days(engine, days)
        print_sections(sections, json_=json_)
        return
    from tasks.services.report import report as figures
    from worker.configuration import configuration

    settings = operator_settings()
    policies = configuration(settings)
    with operator_engine(policies) as engine:
        result = figures(
            engine,
            policies.operations.backup,
            _backlog(settings),
            policies.operations.recovery,
        )
    if json_:
        print(result.model_dump_json(indent=2))
    else:
        _print(result)


def _findings(settings: Settings) -> list[Finding]:
    from db import runs
    from db.backup import scratch
    from db.backup.catalogue import open_catalogue
    from db.backup.source import Source
    from db.monitoring import doctor as checks
    from db.monitoring.checks import copies
    from db.monitoring.checks.finding import Limits
    from db.recovery import catalogue as base_backups
    from db.recovery.drill import read_record
    from db.recovery.status import archive_problems, archiving_of
    from db.session import autocommitting
    from worker.configuration import configuration as configure

    configuration = configure(settings)
    now = datetime.now(UTC)
    limits = Limits(verified_age=timedelta(days=settings.operations.backup.alarm_days))
    with operator_engine(configuration) as engine:
        findings = checks.examine(engine, _expected(configuration, limits), now)
        with autocommitting(engine) as session:
            databases = scratch.orphans(session)
            source = Source.of(session)
        last_archived = archiving_of(engine, configuration.operations.recovery).last_ours
        findings += copies.failed_runs(runs.failed(engine), now)
    policy = configuration.operations.backup
    directories = {Path(tempfile.gettempdir()), Path(policy.scratch or tempfile.gettempdir())}
    findings += copies.leftovers(sorted(directories), databases)
    try:
        catalogue = open_catalogue(policy, source)
    except OperationError as error:
        findings.append(copies.unreachable(error))
    else:
        findings += copies.dumps(catalogue, limits, now)
    recovery = configuration.operations.recovery
    try:
        ended_at = [backup.ended_at for backup in base_backups.read(recovery.storage.base)]
        findings += copies.base_backups(ended_at, limits, now)
        findings += copies.interrupted(base_backups.interrupted(recovery.storage.base, now))
        findings += copies.wal(archive_problems(recovery, last_archived))
        findings += copies.recovery(read_record(recovery), ended_at, limits, now)
    except (OSError, OperationError) as error:
        findings.append(copies.unreadable(recovery.directory, error))
    if _has_broker():
        from worker import broker_checks
        from worker.broker import connection

        thresholds = broker_checks.Thresholds.of(settings)
        findings += broker_checks.examine(connection(settings), thresholds)
    return checks.worst_first(findings)


def _expected(configuration: Configuration, limits: Limits) -> Expected:
    from psycopg.conninfo import conninfo_to_dict

    from db import migrations
    from db.addresses import libpq_url
    from db.cluster.programs import Programs
    from db.monitoring.checks.finding import Expected

    programs: tuple[int, int] | None = None
    try:
        programs = Programs.chosen(configuration.operations.programs).version()
    except OperationError as error:
        if error.kind != Kind.PROGRAMS_MISSING:
            raise
    role = conninfo_to_dict(libpq_url(configuration.database.url)).get("user")
    return Expected(
        revision=migrations.head(),
        application_role=str(role or ""),
        pool=configuration.database.pool_size + configuration.database.max_overflow,
        programs=programs,
        limits=limits,
    )


def _backlog(settings: Settings) -> Backlog | None:
    """Return the figures of the broker; None if no broker is set, or it does not answer."""
    if not _has_broker():
        return None
    from worker.backlog import backlog
    from worker.broker import connection

    return backlog(connection(settings), everywhere=True)


def _has_broker() -> bool:
    return bool(os.environ.get("CELERY_BROKER_URL"))


def _print(result: Report) -> None:
    single: dict[str, object] = {}
    tables: dict[str, list[dict[str, object]]] = {}
    for name, value in result:
        if isinstance(value, dict):
            tables[name] = [
                {
                    "name": key,
                    **(item.model_dump() if hasattr(item, "model_dump") else {name: item}),
                }
                for key, item in value.items()
            ]
        elif isinstance(value, list) and any(hasattr(item, "model_dump") for item in value):
            tables[name] = [item.model_dump() for item in value]
        else:
            single[name] = value
    rows = [{"figure": name, "value": value} for name, value in single.items()]
    print_sections({"figures": rows, **tables}, json_=False)
