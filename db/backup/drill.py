"""The restore drill: restore a backup into a private server, and check everything in it."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, Final
from uuid import uuid4

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from db import migrations
from db.backup.catalogue import Catalogue, Entry, open_catalogue
from db.backup.databases import administering, connected, create, drop
from db.backup.policy import BackupPolicy
from db.backup.restore.compare import compare_rows, compare_structure, structure
from db.backup.restore.load import jobs_for, load
from db.backup.restore.restore import choose_backup, require_full, require_new_enough
from db.backup.restore.roles import create_roles
from db.backup.snapshot import revision
from db.backup.source import Source
from db.backup.store import unwritable
from db.backup.verify import fetch, fetch_roles
from db.cluster.children import Rights
from db.cluster.owned import OwnedDirectory
from db.cluster.private import PrivateCluster
from db.cluster.programs import Programs
from db.cluster.sandbox import sandbox_programs
from db.cluster.unprivileged import give, user_for
from db.commands.core import Client
from db.commands.restore import FAST
from db.errors import Kind, OperationError
from db.postgres_errors import RETRY

Render = Callable[[psycopg.Connection], list[str]]
"""Renders templates of a database at the newest migration, and returns their names."""
Clusters = Callable[[Programs, Path], AbstractContextManager[PrivateCluster]]
"""Yields a running server with its data in a directory."""

# A crash may lose all data: the server is created anew for each drill.
_SETTINGS: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "autovacuum": "off",
}
_AMCHECK: Final = "SELECT FROM pg_available_extensions WHERE name = 'amcheck'"
# After these errors the drill did not happen: they say nothing about the backup.
_NOT_OF_THE_BACKUP: Final = frozenset(
    {
        Kind.DISK_FULL,
        Kind.EXTRA_MISSING,
        Kind.INITDB_FAILED,
        Kind.NEWER_SCHEMA,
        Kind.NOT_FULL,
        Kind.NOT_REACHABLE,
        Kind.PERMISSION_DENIED,  # on the private server, where the drill is the superuser
        Kind.PROGRAMS_MISSING,
        Kind.SERVER_AWAY,
        Kind.SERVER_FAILED,
        Kind.TARGET_UNREADABLE,
        Kind.TARGET_UNWRITABLE,
    }
)


@dataclass(frozen=True, slots=True)
class Drilled:
    """Result of a successful drill.

    Attributes
    ----------
    name
        Name of the backup.
    verified_at
        As in the catalog from now on.
    size
        Size of its files in bytes.
    rows
        Rows of each table; numbers and contents were compared with the dump.
    roles
        Number of roles that it created.
    objects
        Number of columns, indexes, constraints and others, which match the migrations.
    is_amchecked
        Whether amcheck verified tables and indexes; not every server has it.
    revision
        Its migration; newer ones ran on it without error.
    rendered
        Rendered templates, as ``template_id version``; empty without templates.
    seconds
        Duration of the drill.
    """

    name: str
    verified_at: datetime
    size: int
    rows: dict[str, int]
    roles: int
    objects: int
    is_amchecked: bool
    revision: str | None
    rendered: list[str]
    seconds: float


@contextmanager
def new_cluster(programs: Programs, folder: Path) -> Iterator[PrivateCluster]:
    """Yield a new running server with its data in ``folder``."""
    cluster = PrivateCluster(programs, folder / "data", settings=_SETTINGS, is_sandbox=True)
    cluster.initialise()
    with cluster:
        yield cluster


def drill(  # noqa: PLR0913 - options by name
    programs: Programs,
    policy: BackupPolicy,
    *,
    render: Render,
    name: str | None = None,
    source: Source | None = None,
    clusters: Clusters = new_cluster,
) -> Drilled:
    """Restore a backup into a private server, check everything, and record the result.

    The server is new, runs as an unprivileged user, and is removed at the end with all files.

    Raises OperationError: an error of the backup, which is recorded in the catalog, or of the drill
    itself.

    Parameters
    ----------
    programs
        With the server, not older than the programs that created the backup.
    policy
        With the store, the identity that decrypts it, and the temporary directory.
    render
        Renders a template from the restored database.
    name
        Name of a full backup; ``None`` for the newest.
    source
        The database whose backups are drilled; ``None`` for any database.
    clusters
        Starts the server.
    """
    started = monotonic()
    catalogue = open_catalogue(policy, source)
    entry = to_drill(catalogue, name)
    require_new_enough(programs, entry)
    try:
        with _database_errors_explained(entry), drill_directory(policy) as (folder, rights):
            results = _check(programs, policy, entry, folder, rights, render, clusters)
    except OperationError as error:
        if error.kind not in _NOT_OF_THE_BACKUP:
            _record(catalogue, entry, verified_at=None, problem=f"{error.kind}: {error.message}")
        raise
    now = datetime.now(UTC)
    _record(catalogue, entry, verified_at=now, problem=None)
    return Drilled(
        name=entry.name,
        verified_at=now,
        size=entry.size,
        revision=entry.revision,
        seconds=round(monotonic() - started, 3),
        **results,
    )


def to_drill(catalogue: Catalogue, name: str | None) -> Entry:
    """Return the backup that :func:`drill` restores.

    Raises OperationError: ``backup_not_found``; ``foreign_backup``; ``not_full``; ``newer_schema``;
    ``entry_unreadable``: the newest backup is unknown, because an entry cannot be read.
    """
    if name is None:
        for problem in catalogue.unreadable():
            raise problem
    entry = choose_backup(catalogue, name, None)
    require_full(entry)
    return entry


@contextmanager
def drill_directory(policy: BackupPolicy) -> Iterator[tuple[Path, Rights]]:
    """Yield a new directory that only the user of the server may enter, and that user's rights.

    Raises OperationError: ``disk_full``, ``target_unwritable``; ``not_reachable``: this root may
    not give files away.
    """
    base = Path(policy.scratch or tempfile.gettempdir())
    try:
        owned = OwnedDirectory("drill", base)
    except OSError as error:
        raise unwritable(str(base), error) from None
    with owned:
        rights = user_for(owned.path)
        give(owned.path, rights)
        yield owned.path, rights


def _check(  # noqa: PLR0913, PLR0917 - the body of a drill
    programs: Programs,
    policy: BackupPolicy,
    entry: Entry,
    folder: Path,
    rights: Rights,
    render: Render,
    clusters: Clusters,
) -> dict[str, Any]:
    """Restore a backup and check it; return fields of :class:`Drilled`."""
    # Checksums are verified before a server is started.
    roles = fetch_roles(entry, policy)
    with (
        fetch(Client(programs, "", rights), entry, policy, folder) as dump,
        sandbox_programs(programs.folder, rights) as reached,
        clusters(Programs(reached), folder) as cluster,
        _database(cluster, "restored") as database,
        _database(cluster, "expected") as expected,
    ):
        client = Client(Programs(reached), cluster.url(database), cluster.rights, FAST)
        created = create_roles(client.url, roles)
        jobs = jobs_for(dump)
        load(client, entry, dump, jobs=jobs)
        rows = compare_rows(client.url, entry, jobs=jobs)
        _require_revision(client, entry)
        _migrate(cluster.url(expected), entry, str(entry.revision))
        wanted = structure(cluster.url(expected))
        objects = compare_structure(entry, structure(client.url), wanted)
        is_amchecked = amcheck(client, jobs)
        _migrate(client.url, entry, "head")
        with connected(client.url) as connection:
            rendered = render(connection)
    return {
        "rows": rows,
        "roles": len(created.names),
        "objects": objects,
        "is_amchecked": is_amchecked,
        "rendered": rendered,
    }


@contextmanager
def _database(cluster: PrivateCluster, word: str) -> Iterator[str]:
    name = f"{word}_{uuid4().hex}"
    with administering(cluster.url()) as admin:
        create(admin, name, None)
    try:
        yield name
    finally:
        with administering(cluster.url()) as admin:
            drop(admin, name)


def _require_revision(client: Client, entry: Entry) -> None:
    with connected(client.url) as connection:
        found = revision(connection)
    if found is None:
        raise OperationError(
            "revision_differs",
            f"the database of {entry.name} has no migration",
            "run 'alembic upgrade head' in it, and take a new backup",
        )
    if found != entry.revision:
        raise OperationError(
            "revision_differs",
            f"{entry.name} is at migration {found} instead of {entry.revision}",
            "restore from another backup, and take a new one",
        )


def _migrate(url: str, entry: Entry, to: str) -> None:
    try:
        migrations.upgrade(url, to)
    except SQLAlchemyError as error:
        original = getattr(error, "orig", None)
        state = f": SQLSTATE {original.sqlstate}" if isinstance(original, psycopg.Error) else ""
        raise OperationError(
            Kind.MIGRATION_FAILED,
            f"the migration of {entry.name} from {entry.revision} to {to} failed{state}",
            "try 'alembic upgrade head' on a restored copy: template-service backup restore",
        ) from error


def amcheck(client: Client, jobs: int) -> bool:
    """Verify tables and indexes with amcheck; return ``False`` if the server does not have it."""
    with connected(client.url) as connection:
        if connection.execute(_AMCHECK).fetchone() is None:
            return False
    options = ["--install-missing", "--heapallindexed", "--schema=public", f"--jobs={jobs}"]
    client.run("pg_amcheck", options)
    return True


def _record(catalogue: Catalogue, entry: Entry, **changes: object) -> None:
    """Record the result in the catalog, unless the backup was deleted meanwhile."""
    try:
        current = catalogue.get(entry.name)
    except OperationError as error:
        if error.kind != Kind.BACKUP_NOT_FOUND:
            raise
        return
    catalogue.add(current.model_copy(update=changes))


@contextmanager
def _database_errors_explained(entry: Entry) -> Iterator[None]:
    try:
        yield
    except psycopg.OperationalError as error:
        reported = str(error).strip().splitlines()[0]
        raise OperationError(
            Kind.SERVER_FAILED, f"the private server of the drill failed: {reported}", RETRY
        ) from error
    except psycopg.Error as error:
        raise OperationError(
            Kind.RESTORE_FAILED,
            f"a statement on the restored {entry.name} failed: SQLSTATE {error.sqlstate}",
            "restore from another backup, and take a new one",
        ) from error
