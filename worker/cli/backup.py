"""``template-service backup``: dumps are made, listed, checked and expired."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.filesize import decimal
from rich.progress import FileSizeColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from db.backup.catalogue import Contents, Entry, open_catalogue
from db.backup.create import create as create_backup
from db.backup.prune import prune as prune_backups
from db.backup.store import read_chunks
from db.backup.streams import reader
from db.backup.verify import verify as verify_backup
from db.errors import OperationError
from worker.cli.lazy import LazyGroup
from worker.cli.operator import as_json, as_table, explained, operator_configuration


@click.group(
    cls=LazyGroup,
    places={"restore": "worker.cli.restore:restore", "drill": "worker.cli.restore:drill"},
)
def backup() -> None:
    """Dump, check, expire and restore the database."""


@backup.command
@click.option("--schema-only", is_flag=True, help="Tables and indexes without their rows.")
@click.option("--data-only", is_flag=True, help="Rows without their tables.")
@click.option("--table", metavar="NAME", help="One table alone.")
@click.option("--plain", is_flag=True, help="SQL for psql (.sql.gz), not an archive (.dump.zst).")
@click.option("--quiet", is_flag=True, help="Print nothing unless it fails.")
@click.option("--json", "json_", is_flag=True, help="Print the catalogue's entry as JSON.")
@explained
def create(  # noqa: PLR0913 - its options
    *,
    schema_only: bool,
    data_only: bool,
    table: str | None,
    plain: bool,
    quiet: bool,
    json_: bool,
) -> None:
    """Make a backup: of everything, with the server's roles, unless an option says less."""
    if schema_only + data_only + (table is not None) > 1:
        raise click.UsageError("--schema-only, --data-only and --table exclude one another")
    chosen = operator_configuration()
    contents: Contents = "full"
    if schema_only:
        contents = "schema"
    elif data_only:
        contents = "data"
    elif table is not None:
        contents = "table"
    with _progress(shown=not quiet and not json_) as progress:
        made = create_backup(
            chosen.client,
            chosen.operations.backup,
            contents=contents,
            table=table,
            form="plain" if plain else "custom",
            progress=progress,
        )
    if json_:
        as_json(made.model_dump(mode="json"))
    elif not quiet:
        seconds = (made.finished_at - made.started_at).total_seconds()
        rows = sum(facts.rows for facts in made.tables.values())
        print(f"{made.name}: {decimal(made.size)}, {rows} rows, {seconds:.1f} s")


@backup.command("list")
@click.option("--json", "json_", is_flag=True, help="Print entries and problems as JSON.")
@explained
def list_(*, json_: bool) -> None:
    """List the backups, the newest first. Exit status 1 if files or entries are missing."""
    catalogue = open_catalogue(operator_configuration().operations.backup)
    entries, problems = catalogue.entries(), catalogue.problems()
    if json_:
        as_json(
            {
                "backups": [entry.model_dump(mode="json") for entry in entries],
                "problems": [_told(problem) for problem in problems],
            }
        )
    else:
        as_table(
            [_row(entry) for entry in entries],
            empty=f"There is no backup in {catalogue.store.target}",
        )
        for problem in problems:
            print(f"{problem.kind}: {problem}")
    if problems:
        sys.exit(1)


@backup.command
@click.argument("name", required=False)
@click.option("--all", "all_", is_flag=True, help="Check every backup.")
@click.option("--json", "json_", is_flag=True, help="Print what was found as JSON.")
@explained
def verify(*, name: str | None, all_: bool, json_: bool) -> None:
    """Read a backup to its end: size, checksum, archive. The newest full one without NAME.

    Exit status 1 if anything is wrong. What only a restore can prove, `backup drill` does.
    """
    if name is not None and all_:
        raise click.UsageError("NAME and --all exclude one another")
    chosen = operator_configuration()
    policy, programs = chosen.operations.backup, chosen.client.programs
    catalogue = open_catalogue(policy)
    if all_:
        entries = catalogue.entries()
    else:
        entries = [catalogue.newest() if name is None else catalogue.get(name)]
    rows: list[dict[str, Any]] = []
    problems = []
    for entry in entries:
        try:
            done = verify_backup(catalogue.store, entry, policy, programs)
        except OperationError as error:
            problems.append(error)
            rows.append({"name": entry.name, "result": error.kind})
        else:
            result = "sound" if done.opened else "sound, but not decrypted"
            rows.append({"name": entry.name, "result": result})
    if all_:
        problems += [
            problem
            for problem in catalogue.problems()
            if problem.kind in {"unlisted_file", "entry_unreadable"}
        ]
    if json_:
        as_json({"backups": rows, "problems": [_told(problem) for problem in problems]})
    else:
        as_table(rows, empty=f"There is no backup in {catalogue.store.target}")
        for problem in problems:
            print(f"{problem.kind}: {problem}")
    if problems:
        sys.exit(1)


@backup.command
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and why the rest stays.")
@click.option(
    "--unlisted", is_flag=True, help="Delete files that have no entry in the catalogue, too."
)
@click.option("--json", "json_", is_flag=True, help="Print it as JSON.")
@explained
def prune(*, dry_run: bool, unlisted: bool, json_: bool) -> None:
    """Delete the backups that have expired; none while the newest one is not sound."""
    chosen = operator_configuration()
    done = prune_backups(
        chosen.operations.backup,
        chosen.client.programs,
        now=datetime.now(UTC),
        dry_run=dry_run,
        unlisted=unlisted,
    )
    if json_:
        as_json(
            {
                "dry_run": dry_run,
                "deleted": done.deleted,
                "size": done.size,
                "kept": done.kept,
                "leftovers": done.leftovers,
            }
        )
        return
    verb = "would be deleted" if dry_run else "was deleted"
    rows = [{"name": name, "what": verb, "why": "expired"} for name in done.deleted]
    rows += [{"name": name, "what": verb, "why": "not a backup"} for name in done.leftovers]
    rows += [{"name": name, "what": "stays", "why": why} for name, why in done.kept.items()]
    as_table(rows, empty="There is no backup")


@backup.command
@click.argument("name")
@click.option("--roles", is_flag=True, help="The roles beside it, instead of the dump.")
@explained
def cat(*, name: str, roles: bool) -> None:
    """Print what pg_dump printed, decrypted and decompressed.

    For `| pg_restore --list`, or `| psql` of a plain one. Exit status 1 if it is damaged, which is
    known at the end.
    """
    policy = operator_configuration().operations.backup
    catalogue = open_catalogue(policy)
    entry = catalogue.get(name)
    file = entry.roles if roles else entry.dump
    if file is None:
        raise OperationError("no_roles", f"{entry.name} has no file of roles", "name a full backup")
    output = sys.stdout.buffer
    with reader(catalogue.store, file, policy) as plain:
        for chunk in read_chunks(plain):
            output.write(chunk)
        output.flush()


def _row(entry: Entry) -> dict[str, Any]:
    what = entry.contents if entry.table is None else f"table {entry.table}"
    if entry.problem is not None:
        verified = f"failed: {entry.problem}"
    elif entry.verified_at is not None:
        verified = f"{entry.verified_at:%Y-%m-%d %H:%M}"
    else:
        verified = "no"
    return {
        "name": entry.name,
        "taken at (UTC)": f"{entry.started_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
        "contents": what,
        "form": entry.form,
        "size": decimal(entry.size),
        "server": entry.server_version,
        "encrypted": "yes" if entry.encrypted else "no",
        "verified": verified,
        "sha256": entry.dump.sha256[:12],
    }


def _told(problem: OperationError) -> dict[str, str]:
    return {"kind": problem.kind, "message": problem.message, "remedy": problem.remedy}


@contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[int], None] | None]:
    console = Console(stderr=True)
    if not shown or not console.is_terminal:
        yield None
        return
    columns = (SpinnerColumn(), TextColumn("written"), FileSizeColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda written: bar.update(task, completed=written)
