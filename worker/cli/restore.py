"""``template-service backup restore`` and ``drill``: what backups are made for."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial

import click
from rich.filesize import decimal

from db.backup.catalogue import Entry, open_catalogue
from db.backup.databases import named
from db.backup.drill import drill as hold_drill
from db.backup.restore.merge_table import merge_table
from db.backup.restore.replace_live import replace_live
from db.backup.restore.restore import Restored, choose_backup
from db.backup.restore.restore import restore as restore_database
from tasks.runtime import Configuration, Runtime
from tasks.services.drills import render_newest
from worker.cli.operator import as_json, as_table, confirmed, explained, operator_configuration


@click.command
@click.argument("name", required=False)
@click.option("--table", metavar="TABLE", help="This table alone.")
@click.option(
    "--into", metavar="DATABASE", help="A database that does not exist or is empty; else a new one."
)
@click.option(
    "--over-live",
    is_flag=True,
    help="Replace the live database, or with --table put rows back into it. It is dumped first.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Tables made at once; as many as fit the size of the dump if left out.",
)
@click.option("--roles", is_flag=True, help="First make the backup's roles that are missing here.")
@click.option("--yes", is_flag=True, help="Do not ask before the live database is changed.")
@click.option("--json", "json_", is_flag=True, help="Print what was done as JSON.")
@explained
def restore(  # noqa: PLR0913 - its options
    *,
    name: str | None,
    table: str | None,
    into: str | None,
    over_live: bool,
    jobs: int | None,
    roles: bool,
    yes: bool,
    json_: bool,
) -> None:
    """Restore a backup, the newest full one without NAME, into a database beside the live one.

    Rows and contents are compared with those that were dumped. When anything fails, nothing is left
    behind and nothing was changed.
    """
    if over_live and into is not None:
        raise click.UsageError("--over-live and --into exclude one another")
    chosen = operator_configuration()
    if over_live:
        entry = _asked(chosen, name, table, yes=yes)
        if (single := table or entry.table) is not None:
            _merge(chosen, entry, single, jobs, json_=json_)
        else:
            _replace(chosen, entry, jobs, roles=roles, json_=json_)
        return
    done = restore_database(
        chosen.client,
        chosen.operations.backup,
        name=name,
        table=table,
        into=into,
        jobs=jobs,
        with_roles=roles,
    )
    if json_:
        as_json(asdict(done))
        return
    _show(done)
    print(f"Look at it with: psql -d {done.database}")


@click.command
@click.argument("name", required=False)
@click.option("--json", "json_", is_flag=True, help="Print what was proved as JSON.")
@explained
def drill(*, name: str | None, json_: bool) -> None:
    """Restore a full backup, the newest without NAME, into a server of its own and compare it.

    Roles, rows, contents, indexes, constraints and migrations are looked at, and templates are
    rendered from it. The catalogue says from then on that it is verified, or what is wrong.
    """
    chosen = operator_configuration()
    process = Runtime(chosen)
    try:
        done = hold_drill(
            chosen.client.programs,
            chosen.operations.backup,
            name=name,
            render=partial(render_newest, process=process),
        )
    finally:
        process.close()
    if json_:
        as_json(asdict(done))
        return
    as_table(_rows(done.rows))
    checked = " and by amcheck" if done.is_amchecked else ""
    print(
        f"{done.name} is verified: {decimal(done.size)}, {sum(done.rows.values())} rows, "
        f"{done.roles} roles, migration {done.revision}, in {done.seconds:.1f} s"
    )
    print(f"{done.objects} columns, indexes and constraints compared with the migrations{checked}")
    rendered = ", ".join(done.rendered) or "none: it has no template that sample values fit"
    print(f"Rendered: {rendered}")


def _asked(chosen: Configuration, name: str | None, table: str | None, *, yes: bool) -> Entry:
    policy = chosen.operations.backup
    entry = choose_backup(open_catalogue(policy), name, table)
    live = named(chosen.client.url)
    taken = f"{entry.name}, the state of {entry.started_at:%Y-%m-%d %H:%M:%S} UTC"
    if (single := table or entry.table) is not None:
        question = f"Put the rows of table {single} back into {live} from {taken}?"
    else:
        question = f"Replace database {live} by {taken}, and end all its sessions?"
    confirmed(question, yes=yes)
    return entry


def _replace(
    chosen: Configuration, entry: Entry, jobs: int | None, *, roles: bool, json_: bool
) -> None:
    done = replace_live(
        chosen.client, chosen.operations.backup, name=entry.name, jobs=jobs, with_roles=roles
    )
    if json_:
        as_json(asdict(done))
        return
    _show(done.restored)
    print(f"What was live before is in database {done.aside}, and in backup {done.safety}")
    print("When it is no longer needed, drop it with:")
    print(f"""  psql "$DATABASE_URL" -c 'DROP DATABASE "{done.aside}"'""")


def _merge(
    chosen: Configuration, entry: Entry, table: str, jobs: int | None, *, json_: bool
) -> None:
    done = merge_table(
        chosen.client, chosen.operations.backup, name=entry.name, table=table, jobs=jobs
    )
    if json_:
        as_json(asdict(done))
        return
    print(
        f"{table}: {done.inserted} rows inserted, {done.updated} updated, {done.unchanged} "
        f"unchanged; {done.kept} only in the live table were kept"
    )
    print(f"The previous rows are in backup {done.safety}")


def _show(done: Restored) -> None:
    as_table(_rows(done.rows))
    print(
        f"{done.name} is in database {done.database}: {sum(done.rows.values())} rows, compared "
        f"with those that were dumped, in {done.seconds:.1f} s"
    )
    if done.roles:
        print(f"Roles that were made: {', '.join(done.roles)}")
    if done.is_behind:
        print(f"It is at migration {done.revision}: run 'alembic upgrade head' on it")


def _rows(rows: Mapping[str, int]) -> list[dict[str, str | int]]:
    return [{"table": table, "rows": count} for table, count in rows.items()]
