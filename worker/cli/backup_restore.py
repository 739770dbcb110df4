"""``template-service backup restore`` and ``drill``."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import click

from db.units import size
from worker.cli.base import Command
from worker.cli.operator import operator_configuration
from worker.cli.options import json_option, yes_option
from worker.cli.output import confirm, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from db.backup.catalogue import Entry
    from db.backup.restore.restore import Restored
    from db.backup.source import Source
    from tasks.configuration import Configuration

MOST_JOBS = 64  # each has a connection, of which a server has 100 by default


@click.command(
    cls=Command,
    example="backup restore --into checked\n"
    "backup restore template_service_20261122_020000_7712727968633755952_3d9fe18b "
    "--table templates --over-live",
)
@click.argument("name", required=False)
@click.option("--table", metavar="TABLE", help="A single table.")
@click.option(
    "--into",
    metavar="DATABASE",
    help="Target database, missing or empty (default: a new database).",
)
@click.option(
    "--over-live",
    is_flag=True,
    help="Replace the live database, or with --table merge into its table; it is backed up first.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, MOST_JOBS),
    help="Parallel jobs (default: based on the dump's size).",
)
@click.option(
    "--roles", is_flag=True, help="Also create the backup's roles that this server lacks."
)
@click.option("--foreign", is_flag=True, help="Allow NAME to be of another database or server.")
@yes_option
@json_option
def restore(  # noqa: PLR0913 - its options
    *,
    name: str | None,
    table: str | None,
    into: str | None,
    over_live: bool,
    jobs: int | None,
    roles: bool,
    foreign: bool,
    yes: bool,
    json_: bool,
) -> None:
    """Restore a backup into a database next to the live one, and compare all rows.

    Without NAME: the newest full backup of this database, safety backups excluded. If anything
    fails, nothing is changed or left behind.
    """
    from db.backup.restore.restore import restore as restore_database
    from db.printed import psql

    if over_live and into is not None:
        raise click.UsageError("--over-live and --into are mutually exclusive")
    if foreign and name is None:
        raise click.UsageError("--foreign needs NAME")
    configuration = operator_configuration()
    if over_live:
        entry = _confirmed(configuration, name, table, foreign=foreign, yes=yes)
        if (single := table or entry.table) is not None:
            _merge_table(configuration, entry, single, jobs, json_=json_)
        else:
            _replace(configuration, entry, jobs, roles=roles, json_=json_)
        return
    restored = restore_database(
        configuration.client,
        configuration.operations.backup,
        name=name,
        table=table,
        into=into,
        jobs=jobs,
        with_roles=roles,
        foreign=foreign,
    )
    if json_:
        print_json(asdict(restored))
        return
    _print_restored(restored)
    print(f"Check it with: {psql(restored.database)}")


@click.command(cls=Command, example="backup drill")
@click.argument("name", required=False)
@json_option
def drill(*, name: str | None, json_: bool) -> None:
    """Restore a full backup into a private server, compare it, and mark it verified.

    Without NAME: the newest full backup. Compares roles, rows, contents, indexes, constraints and
    migrations, and renders templates. Exits 1 on a difference, which the catalog then records.
    """
    from db.backup.drill import drill as hold_drill
    from tasks.runtime import Runtime
    from tasks.services.drills import render_newest

    configuration = operator_configuration()
    process = Runtime(configuration)
    try:
        verified = hold_drill(
            configuration.client.programs,
            configuration.operations.backup,
            name=name,
            source=_drilled(configuration, name),
            render=partial(render_newest, process=process),
        )
    finally:
        process.close()
    if json_:
        print_json(asdict(verified))
        return
    print_table(_rows(verified.rows))
    print(
        f"{verified.name} is verified: {size(verified.size)}, {sum(verified.rows.values())} rows, "
        f"{verified.roles} roles, migration {verified.revision}, in {verified.seconds:.1f} s"
    )
    amcheck = " and by amcheck" if verified.is_amchecked else ""
    print(
        f"{verified.objects} columns, indexes and constraints compared with the migrations{amcheck}"
    )
    rendered = ", ".join(verified.rendered) or "none (no template accepts sample values)"
    print(f"Rendered: {rendered}")


def _drilled(configuration: Configuration, name: str | None) -> Source | None:
    """Return the database whose backups are drilled.

    A named backup can be drilled while the server is unavailable.
    """
    from db.backup.source import Source
    from db.errors import OperationError

    try:
        return Source.read(configuration.client.url)
    except OperationError:
        if name is None:
            raise
        return None


def _confirmed(
    configuration: Configuration, name: str | None, table: str | None, *, foreign: bool, yes: bool
) -> Entry:
    """Return the backup to restore over live data, after confirmation."""
    from db.backup.databases import named
    from db.backup.restore.restore import choose_backup, own_catalogue

    catalogue = own_catalogue(configuration.client, configuration.operations.backup)
    entry = choose_backup(catalogue, name, table, foreign=foreign)
    live = named(configuration.client.url)
    backup = f"{entry.name}, the state of {entry.started_at:%Y-%m-%d %H:%M:%S} UTC"
    if (single := table or entry.table) is not None:
        question = f"Merge the rows of table {single} into {live} from {backup}?"
    else:
        question = f"Replace database {live} with {backup}, and terminate all its sessions?"
    confirm(question, yes=yes)
    return entry


def _replace(
    configuration: Configuration, entry: Entry, jobs: int | None, *, roles: bool, json_: bool
) -> None:
    from db.backup.restore.replace_live import replace_live
    from db.printed import identifier, psql

    target = configuration.operations.backup.target
    replaced = replace_live(
        configuration.client,
        configuration.operations.backup,
        name=entry.name,
        jobs=jobs,
        with_roles=roles,
        foreign=True,  # was confirmed
    )
    if json_:
        print_json(asdict(replaced))
        return
    _print_restored(replaced.restored)
    print(f"Previous data: database {replaced.aside}, and backup {replaced.safety} in {target}")
    print("When you no longer need it, drop it with:")
    print(f"  {psql('postgres', f'DROP DATABASE {identifier(replaced.aside)}')}")


def _merge_table(
    configuration: Configuration, entry: Entry, table: str, jobs: int | None, *, json_: bool
) -> None:
    from db.backup.restore.merge_table import merge_table

    merged = merge_table(
        configuration.client,
        configuration.operations.backup,
        name=entry.name,
        table=table,
        jobs=jobs,
        foreign=True,  # was confirmed
    )
    if json_:
        print_json(asdict(merged))
        return
    print(
        f"{table}: {merged.inserted} rows inserted, {merged.updated} updated, "
        f"{merged.unchanged} unchanged; {merged.kept} only in the live table were kept"
    )
    target = configuration.operations.backup.target
    print(f"Previous data: backup {merged.safety} in {target}")


def _print_restored(restored: Restored) -> None:
    print_table(_rows(restored.rows))
    print(
        f"{restored.name} is in database {restored.database}: {sum(restored.rows.values())} rows, "
        f"all equal to the dump, in {restored.seconds:.1f} s"
    )
    if restored.roles:
        print(f"Roles created: {', '.join(restored.roles)}")
    if restored.withheld:
        print(f"Not restored: {', '.join(restored.withheld)}")
    if restored.is_behind:
        print(f"It is at migration {restored.revision}: run 'alembic upgrade head' on it")


def _rows(rows: Mapping[str, int]) -> list[dict[str, str | int]]:
    return [{"table": table, "rows": count} for table, count in rows.items()]
