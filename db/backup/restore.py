"""A backup becomes a database again: beside the live one, so that nothing can be lost by it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Final
from uuid import uuid4

from db import migrations
from db.backup.catalogue import Catalogue, Entry
from db.backup.compare import rows_of
from db.backup.databases import (
    administering,
    at,
    beside,
    create,
    drop,
    exists,
    is_empty,
    named,
    rename,
)
from db.backup.exchange import dress, swap
from db.backup.fetch import fetch
from db.backup.load import jobs_for, load
from db.backup.policy import BackupPolicy
from db.backup.restore_data import restore_data
from db.backup.restore_roles import make_roles
from db.backup.store import open_store, unwritable
from db.cluster.programs import Programs
from db.commands.core import Client
from db.commands.restore import FAST
from db.errors import OperationError

_FULL: Final = "choose one of the full backups that template-service backup list names"


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore brought back.

    Attributes
    ----------
    name
        Of the backup.
    database
        Where it is now.
    rows
        Of each table, after contents and numbers were compared with those of the dump.
    revision
        The migration it is at.
    is_behind
        Whether this checkout has newer migrations: ``alembic upgrade head`` is due.
    roles
        Those that were made for it.
    seconds
        Wall-clock time.
    """

    name: str
    database: str
    rows: dict[str, int]
    revision: str | None
    is_behind: bool
    roles: list[str]
    seconds: float


def restore(  # noqa: PLR0913 - by name only, and each has a default that fits
    client: Client,
    policy: BackupPolicy,
    *,
    name: str | None = None,
    table: str | None = None,
    into: str | None = None,
    jobs: int | None = None,
    with_roles: bool = False,
) -> Restored:
    """Restore a backup into another database of the client's server, whole or one table of it.

    Parameters
    ----------
    client
        Programs and the live database, which is not touched.
    policy
        Where the backup is, and the identity that decrypts it.
    name
        Of the backup; ``None`` for the newest full one.
    table
        The only table to bring back, with its indexes and without its foreign keys.
    into
        A database that does not exist or holds nothing; ``None`` for a new one with a name of its
        own. A dump of data alone needs one, with empty tables at the dump's migration.
    jobs
        Tables and indexes that are made at the same time; ``None`` for what fits its size.
    with_roles
        Make the roles of the backup first that the server lacks.

    Raises
    ------
    OperationError
        What went wrong; no database is left behind, and none was changed.
    """
    started = monotonic()
    catalogue = Catalogue(open_store(policy.target, policy.scratch))
    entry = suitable(catalogue, name, table)
    require_new_enough(client.programs, entry)
    if entry.contents == "data":
        with scratch(policy) as folder:
            rows = restore_data(client, policy, catalogue.store, entry, into, folder)
        return _told(entry, str(into), rows, started)
    if into is not None:
        _require_empty(client.url, into)
    with (
        draft(
            client, policy, catalogue, entry, table=table, jobs=jobs, with_roles=with_roles
        ) as made,
        administering(client.url) as admin,
    ):
        target = into or beside(admin, named(client.url), "restored")
        empty = beside(admin, target, "empty") if exists(admin, target) else None
        if empty is None:
            rename(admin, made.database, target)
        else:
            dress(admin, made.database, target)
            swap(client.url, target, made.database, empty)
            drop(admin, empty)
    return replace(made, database=target, seconds=round(monotonic() - started, 3))


@contextmanager
def draft(  # noqa: PLR0913 - by name only
    client: Client,
    policy: BackupPolicy,
    catalogue: Catalogue,
    entry: Entry,
    *,
    table: str | None,
    jobs: int | None,
    with_roles: bool,
) -> Iterator[Restored]:
    """Restore into a new database; yield what is in it, and drop it unless it was renamed.

    Raises
    ------
    OperationError
        What went wrong.
    """
    started = monotonic()
    live = named(client.url)
    # Two that start in one second must not meet.
    database = f"{live[:32]}_restoring_{uuid4().hex[:12]}"
    there = replace(client, url=at(client.url, database), options=FAST)
    roles: list[str] = []
    with scratch(policy) as folder:
        dump = fetch(client, catalogue.store, entry, entry.dump, policy, folder)
        if with_roles and entry.roles is not None:
            script = fetch(client, catalogue.store, entry, entry.roles, policy, folder)
            roles = make_roles(client, script)
        threads = jobs or jobs_for(dump)
        try:
            with administering(client.url) as admin:
                create(admin, database, live)
            load(there, entry, dump, jobs=threads, table=table)
            rows = rows_of(there.url, entry, jobs=threads, table=table)
            yield replace(_told(entry, database, rows, started), roles=roles)
        finally:
            with administering(client.url) as admin:
                drop(admin, database)


@contextmanager
def scratch(policy: BackupPolicy) -> Iterator[Path]:
    """Yield a folder of one's own for files under way, which goes with them in the end."""
    try:
        folder = tempfile.TemporaryDirectory(
            prefix="template-service-restore-", dir=policy.scratch or None
        )
    except OSError as error:
        raise unwritable(policy.scratch or tempfile.gettempdir(), error) from None
    with folder as path:
        yield Path(path)


def suitable(catalogue: Catalogue, name: str | None, table: str | None) -> Entry:
    """Return the backup to restore, the newest full one if ``name`` is ``None``.

    Raises
    ------
    OperationError
        ``backup_not_found``; ``newer_schema``: this checkout does not know its migration;
        ``not_full``, ``table_missing``: the table is not in it.
    """
    entry = catalogue.newest() if name is None else catalogue.get(name)
    if entry.revision is not None and not migrations.is_known(entry.revision):
        raise OperationError(
            "newer_schema",
            f"{entry.name} is at migration {entry.revision}, which this release does not have",
            "restore it with the release that made it, or a newer one",
        )
    if table is None:
        return entry
    if entry.contents not in {"full", "table"}:
        raise OperationError("not_full", f"{entry.name} has the {entry.contents} alone", _FULL)
    if table not in entry.tables:
        there = ", ".join(sorted(entry.tables)) or "none"
        raise OperationError(
            "table_missing", f"{entry.name} has no table {table}", f"the tables in it are {there}"
        )
    return entry


def require_new_enough(programs: Programs, entry: Entry) -> None:
    """See to it that these programs can read what made the backup.

    https://www.postgresql.org/docs/current/app-pgdump.html: newer ones read older dumps.

    Raises
    ------
    OperationError
        ``client_too_old``.
    """
    major, minor = programs.version("pg_restore")
    if major < int(entry.client_version.partition(".")[0]):
        raise OperationError(
            "client_too_old",
            f"pg_restore {major}.{minor} is older than the pg_dump {entry.client_version} that "
            f"made {entry.name}",
            "set TEMPLATE_SERVICE_POSTGRES_PROGRAMS to newer programs",
        )


def _require_empty(url: str, target: str) -> None:
    with administering(url) as admin:
        is_there = exists(admin, target)
    if is_there and not is_empty(at(url, target)):
        raise OperationError(
            "database_not_empty",
            f"database {target} holds something, and a restore would mix with it",
            "leave --into out, or name a database that does not exist; --over-live replaces the "
            "live one",
        )


def _told(entry: Entry, database: str, rows: dict[str, int], started: float) -> Restored:
    is_behind = entry.revision is not None and entry.revision != migrations.head()
    seconds = round(monotonic() - started, 3)
    return Restored(entry.name, database, rows, entry.revision, is_behind, [], seconds)
