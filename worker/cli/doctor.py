"""``template-service db doctor`` and ``report``: the state of database and broker in one look."""

import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Final

import click
from psycopg.conninfo import conninfo_to_dict

from db import migrations
from db.backup.catalogue import open_catalogue
from db.cluster.programs import Programs
from db.errors import OperationError
from db.monitoring import doctor as checks
from db.monitoring.checks import copies
from db.monitoring.checks.finding import Expected, Finding, Limits
from db.recovery import catalogue as base_backups
from db.session import libpq_url
from tasks.backlog import Backlog
from tasks.messages.report import Report
from tasks.runtime import Configuration
from tasks.services.report import report as figures
from worker import broker_checks
from worker.backlog import backlog
from worker.broker import connection
from worker.cli.operator import as_json, explained, operator_engine, operator_settings
from worker.cli.tables import json_option, show
from worker.configuration import configuration
from worker.settings import Settings, environment_name

_COLOURS: Final = {"error": "red", "warning": "yellow", "notice": "cyan"}


@click.command()
@json_option
@explained
def doctor(*, json_: bool) -> None:
    """Look at everything that can be wrong, and say what mends it.

    The broker is checked too where CELERY_BROKER_URL names one.

    Exit status 1 if there is an error or a warning; notices are only good to know.
    """
    settings = operator_settings()
    found = _examined(settings)
    if json_:
        as_json({"findings": [asdict(finding) for finding in found]})
    else:
        for finding in found:
            click.secho(f"{finding.severity}: {finding.what}", fg=_COLOURS[finding.severity])
            print(f"    why:  {finding.why}\n    mend: {finding.remedy}  [{finding.id}]")
        if not found:
            print("Nothing is wrong.")
    if checks.alarming(found):
        sys.exit(1)


@click.command()
@json_option
@explained
def report(*, json_: bool) -> None:
    """Print the figures of maintenance.report; it writes no file of metrics."""
    settings = operator_settings()
    found = figures(configuration(settings), _backlog(settings))
    if json_:
        print(found.model_dump_json(indent=2))
    else:
        _print(found)


def _examined(settings: Settings) -> list[Finding]:
    chosen = configuration(settings)
    now = datetime.now(UTC)
    limits = Limits(verified_age=timedelta(days=settings.backup_alarm_days))
    with operator_engine(chosen) as engine:
        found = checks.examine(engine, _expected(chosen, limits), now)
    policy = chosen.operations.backup
    try:
        catalogue = open_catalogue(policy)
    except OperationError as error:
        found.append(copies.unreachable(error))
    else:
        found += copies.dumps(catalogue, limits, now)
    taken = [backup.ended_at for backup in base_backups.read(chosen.operations.recovery.base)]
    found += copies.base_backups(taken, limits, now)
    if _has_broker():
        found += broker_checks.examine(connection(settings), broker_checks.Thresholds.of(settings))
    return checks.worst_first(found)


def _expected(chosen: Configuration, limits: Limits) -> Expected:
    programs: tuple[int, int] | None = None
    try:
        programs = Programs.chosen(chosen.operations.programs).version()
    except OperationError as error:
        if error.kind != "programs_missing":
            raise
    role = conninfo_to_dict(libpq_url(chosen.database.url)).get("user")
    return Expected(
        revision=migrations.head(),
        application_role=str(role or ""),
        pool=chosen.database.pool_size + chosen.database.max_overflow,
        programs=programs,
        limits=limits,
    )


def _backlog(settings: Settings) -> Backlog | None:
    """Return the figures of the broker, None where none is set or it does not answer."""
    if not _has_broker():
        return None
    return backlog(connection(settings))


def _has_broker() -> bool:
    return bool(os.environ.get(environment_name("broker_url")))


def _print(found: Report) -> None:
    single: dict[str, object] = {}
    tables: dict[str, list[dict[str, object]]] = {}
    for name, value in found:
        if isinstance(value, dict):
            tables[name] = [
                {
                    "name": key,
                    **(item.model_dump() if hasattr(item, "model_dump") else {name: item}),
                }
                for key, item in value.items()
            ]
        else:
            single[name] = value
    rows = [{"figure": name, "value": value} for name, value in single.items()]
    show({"figures": rows, **tables}, json_=False)
