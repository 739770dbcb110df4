"""``template-service backup``: create, list, verify, restore and expire dumps."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from db.units import size
from worker.cli.base import Group
from worker.cli.operator import operator_configuration
from worker.cli.options import dry_run_option, json_option
from worker.cli.output import print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from db.backup.catalogue import Contents, Entry
    from db.backup.source import Source
    from db.errors import OperationError
    from tasks.configuration import Configuration


@click.group(
    cls=Group,
    lazy={
        "restore": "worker.cli.backup_restore:restore",
        "drill": "worker.cli.backup_restore:drill",
    },
    example="backup create\nbackup list",
)
def backup() -> None:
    """Create, verify, restore and expire dumps of the database."""


@backup.command(example="backup create\nbackup create --table templates --plain")
@click.option("--schema-only", is_flag=True, help="Dump tables and indexes without rows.")
@click.option("--data-only", is_flag=True, help="Dump rows without table definitions.")
@click.option("--table", metavar="NAME", help="A single table.")
@click.option(
    "--plain", is_flag=True, help="Write SQL for psql (.sql.gz) instead of an archive (.dump.zst)."
)
@click.option("--quiet", is_flag=True, help="Print nothing unless the backup fails.")
@json_option
def create(  # noqa: PLR0913 - its options
    *,
    schema_only: bool,
    data_only: bool,
    table: str | None,
    plain: bool,
    quiet: bool,
    json_: bool,
) -> None:
    """Create a backup of the whole database and the server's roles.

    Creates no backup, and exits 1, if anything fails.
    """
    from db.backup.create import create as create_backup

    if schema_only + data_only + (table is not None) > 1:
        raise click.UsageError("--schema-only, --data-only and --table are mutually exclusive")
    configuration = operator_configuration()
    contents: Contents = "full"
    if schema_only:
        contents = "schema"
    elif data_only:
        contents = "data"
    elif table is not None:
        contents = "table"
    with _progress(shown=not quiet and not json_) as progress:
        created = create_backup(
            configuration.client,
            configuration.operations.backup,
            contents=contents,
            table=table,
            form="plain" if plain else "custom",
            progress=progress,
        )
    target = configuration.operations.backup.target
    if json_:
        print_json(created.model_dump(mode="json") | {"target": target})
    elif not quiet:
        seconds = (created.finished_at - created.started_at).total_seconds()
        rows = sum(facts.rows for facts in created.tables.values())
        print(f"{created.name}: {size(created.size)}, {rows} rows, {seconds:.1f} s, in {target}")


@backup.command("list", example="backup list --json")
@json_option
def list_(*, json_: bool) -> None:
    """List the backups, newest first. Exits 1 if files or catalog entries are missing."""
    from db.backup.catalogue import open_catalogue
    from db.errors import OperationError

    configuration = operator_configuration()
    source = None
    try:
        source = _source(configuration)
    except OperationError as error:
        # The list is needed most when the server is lost.
        print(f"Backups of other databases are not marked: {error.message}", file=sys.stderr)
    catalogue = open_catalogue(configuration.operations.backup, source)
    entries, problems = catalogue.entries(), catalogue.problems()
    if json_:
        print_json(
            {
                "target": catalogue.store.target,
                "backups": [
                    entry.model_dump(mode="json")
                    | {"foreign": None if source is None else catalogue.is_foreign(entry)}
                    for entry in entries
                ],
                "problems": [_problem(problem) for problem in problems],
            }
        )
    else:
        print_table(
            [_row(entry, foreign=catalogue.is_foreign(entry)) for entry in entries],
            title=f"Backups in {catalogue.store.target}",
            empty=f"no backup in {catalogue.store.target}",
        )
        for problem in problems:
            print(f"{problem.kind}: {problem}")
    if problems:
        sys.exit(1)


@backup.command(example="backup verify\nbackup verify --all")
@click.argument("name", required=False)
@click.option("--all", "all_", is_flag=True, help="Verify every backup of this database.")
@json_option
def verify(*, name: str | None, all_: bool, json_: bool) -> None:
    """Read a backup to its end and check its size, checksum and archive. Exits 1 on a problem.

    Without NAME: the newest full backup. Only a restore proves the contents; see `backup drill`.
    """
    if name is not None and all_:
        raise click.UsageError("NAME and --all are mutually exclusive")
    from db.backup.catalogue import open_catalogue
    from db.backup.verify import verify as verify_backup
    from db.errors import Kind, OperationError

    configuration = operator_configuration()
    policy, programs = configuration.operations.backup, configuration.client.programs
    catalogue = open_catalogue(policy, _source(configuration) if name is None else None)
    if all_:
        entries = catalogue.own()
    else:
        entries = [catalogue.newest() if name is None else catalogue.get(name)]
    rows: list[dict[str, Any]] = []
    problems: list[OperationError] = []
    for entry in entries:
        try:
            checked = verify_backup(catalogue.store, entry, policy, programs)
        except OperationError as error:
            problems.append(error)
            rows.append({"name": entry.name, "result": error.kind})
        else:
            result = "intact" if checked.opened else "intact, but not decrypted"
            rows.append({"name": entry.name, "result": result})
    if all_:
        problems += [
            problem
            for problem in catalogue.problems()
            if problem.kind in {Kind.UNLISTED_FILE, Kind.ENTRY_UNREADABLE}
        ]
    if json_:
        print_json({"backups": rows, "problems": [_problem(problem) for problem in problems]})
    else:
        print_table(rows, empty=f"no backup in {catalogue.store.target}")
        for problem in problems:
            print(f"{problem.kind}: {problem}")
    if problems:
        sys.exit(1)


@backup.command(example="backup prune --dry-run")
@dry_run_option
@click.option("--unlisted", is_flag=True, help="Also delete files without a catalog entry.")
@json_option
def prune(*, dry_run: bool, unlisted: bool, json_: bool) -> None:
    """Delete expired backups. Deletes none unless the newest backup is intact."""
    from db.backup.prune import prune as prune_backups

    configuration = operator_configuration()
    pruned = prune_backups(
        configuration.operations.backup,
        configuration.client.programs,
        source=_source(configuration),
        now=datetime.now(UTC),
        dry_run=dry_run,
        unlisted=unlisted,
    )
    if json_:
        print_json(
            {
                "dry_run": dry_run,
                "deleted": pruned.deleted,
                "size": pruned.size,
                "kept": pruned.kept,
                "leftovers": pruned.leftovers,
            }
        )
        return
    action = "would be deleted" if dry_run else "deleted"
    rows = [{"name": name, "action": action, "reason": "expired"} for name in pruned.deleted]
    rows += [
        {"name": name, "action": action, "reason": "not in the catalog"}
        for name in pruned.leftovers
    ]
    rows += [{"name": name, "action": "kept", "reason": why} for name, why in pruned.kept.items()]
    print_table(rows, empty="no backup")


@backup.command(
    example="backup cat template_service_20261122_020000_7712727968633755952_3d9fe18b"
    " | pg_restore --list"
)
@click.argument("name")
@click.option("--roles", is_flag=True, help="Write the roles file instead of the dump.")
def cat(*, name: str, roles: bool) -> None:
    """Write a backup to standard output, decrypted and decompressed.

    For `pg_restore --list`, or for `psql` if it is plain SQL. Exits 1 if the backup is damaged,
    which shows only at the end.
    """
    # pg_restore restores single objects, which `backup restore` does not, and reads neither
    # object storage nor age. There is no --json: standard output is the dump.
    from db.backup.catalogue import open_catalogue
    from db.backup.store import read_chunks
    from db.backup.streams import reader
    from db.errors import OperationError

    policy = operator_configuration().operations.backup
    catalogue = open_catalogue(policy)
    entry = catalogue.get(name)
    file = entry.roles if roles else entry.dump
    if file is None:
        raise OperationError("no_roles", f"{entry.name} has no roles file", "name a full backup")
    output = sys.stdout.buffer
    with reader(catalogue.store, file, policy) as plain:
        for chunk in read_chunks(plain):
            output.write(chunk)
        output.flush()


def _source(configuration: Configuration) -> Source:
    from db.backup.source import Source

    return Source.read(configuration.client.url)


def _row(entry: Entry, *, foreign: bool) -> dict[str, Any]:
    if entry.problem is not None:
        verified = f"failed: {entry.problem}"
    elif entry.verified_at is not None:
        verified = f"{entry.verified_at:%Y-%m-%d %H:%M}"
    else:
        verified = "no"
    return {
        "name": entry.name,
        "taken at (UTC)": f"{entry.started_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
        "contents": entry.contents if entry.table is None else f"table {entry.table}",
        "purpose": f"foreign: {entry.database}" if foreign else entry.purpose,
        "form": entry.form,
        "size": size(entry.size),
        "server": entry.server_version,
        "encrypted": "yes" if entry.encrypted else "no",
        "verified": verified,
        "sha256": entry.dump.sha256[:12],
    }


def _problem(problem: OperationError) -> dict[str, str]:
    return {"kind": problem.kind, "message": problem.message, "remedy": problem.remedy}


@contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[int], None] | None]:
    if not shown or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("written {task.fields[written]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, written=size(0))
        yield lambda written: bar.update(task, written=size(written))
