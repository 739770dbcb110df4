"""Restore a backup into another database of the server."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import monotonic
from typing import Final

import psycopg
from psycopg import sql

from db import migrations
from db.backup.catalogue import Catalogue, Entry, hook_facts, open_catalogue
from db.backup.databases import (
    administering,
    at,
    connected,
    copy_properties,
    drop,
    exists,
    is_empty,
    named,
    rename,
    swap,
    unused_name,
)
from db.backup.policy import BackupPolicy
from db.backup.restore.compare import compare_rows
from db.backup.restore.load import drop_others, jobs_for, load, load_data
from db.backup.restore.preflight import check_renaming, check_server_space
from db.backup.restore.roles import CreatedRoles, create_roles
from db.backup.scratch import release, scratch_database
from db.backup.snapshot import SCHEMA, revision
from db.backup.source import Source
from db.backup.verify import fetch, fetch_roles
from db.cluster.programs import Programs
from db.commands.core import Client
from db.commands.restore import FAST
from db.errors import Kind, OperationError
from db.hooks import run_hook

_FULL: Final = "choose one of the full backups that template-service backup list shows"


@dataclass(frozen=True, slots=True)
class Restored:
    """A restored database.

    Attributes
    ----------
    name
        Name of the backup.
    database
        Name of the database.
    rows
        Rows of each table; numbers and contents were compared with the dump.
    revision
        Its migration.
    is_behind
        Whether this checkout has newer migrations: ``alembic upgrade head`` is due.
    roles
        Roles that were created for it.
    withheld
        Attributes and memberships of the backup's roles that the created roles lack.
    seconds
        Duration of the restore.
    """

    name: str
    database: str
    rows: dict[str, int]
    revision: str | None
    is_behind: bool
    roles: list[str]
    withheld: list[str]
    seconds: float


def restore(  # noqa: PLR0913 - options by name
    client: Client,
    policy: BackupPolicy,
    *,
    name: str | None = None,
    table: str | None = None,
    into: str | None = None,
    jobs: int | None = None,
    with_roles: bool = False,
    foreign: bool = False,
) -> Restored:
    """Restore a backup, or one table of it, into another database of the client's server.

    After an OperationError no database is left behind, and none was changed.

    Parameters
    ----------
    client
        Client programs with the URL of the live database, which is unchanged.
    name
        Name of the backup; ``None`` for the newest full one.
    table
        The only table to restore, with its indexes and without its foreign keys.
    into
        A database that does not exist or is empty; ``None`` for a new one with a generated name. A
        dump of data alone needs one with empty tables at the dump's migration.
    jobs
        Parallel jobs; ``None`` for a number based on the dump's size.
    with_roles
        First create the roles of the backup that the server lacks.
    foreign
        Whether the named backup may be of another database or server.
    """
    started = monotonic()
    entry = choose_backup(own_catalogue(client, policy), name, table, foreign=foreign)
    require_new_enough(client.programs, entry)
    if entry.contents == "data":
        with hooked(policy, entry, into):
            rows = _restore_data(client, policy, entry, into)
        return _restored(entry, str(into), rows, started)
    if into is not None:
        _require_empty(client.url, into)
        check_renaming(client, into)
    if table is None:
        check_server_space(client, entry)
    with (
        hooked(policy, entry, into),
        restored_draft(
            client, policy, entry, table=table, jobs=jobs, with_roles=with_roles
        ) as draft,
        administering(client.url) as admin,
    ):
        if table is not None and entry.table is None:
            drop_others(replace(client, url=at(client.url, draft.database)), table)
        target = into or unused_name(admin, named(client.url), "restored")
        if exists(admin, target):
            check_renaming(client, target)  # again: hours may have passed
            empty = unused_name(admin, target, "empty")
            release(admin, draft.database)
            copy_properties(admin, draft.database, target)
            swap(client.url, target, draft.database, empty)
            drop(admin, empty)
        else:
            release(admin, draft.database)
            rename(admin, draft.database, target)
    return replace(draft, database=target, seconds=round(monotonic() - started, 3))


@contextmanager
def hooked(policy: BackupPolicy, entry: Entry, database: str | None) -> Iterator[None]:
    """Run the hook before the restore in the block, and the one after it if it succeeds."""
    facts = hook_facts(entry, policy) | {"database": database}
    run_hook(policy.before_restore, "before_restore", facts)
    yield
    run_hook(policy.after_restore, "after_restore", facts)


@contextmanager
def restored_draft(  # noqa: PLR0913 - options by name
    client: Client,
    policy: BackupPolicy,
    entry: Entry,
    *,
    table: str | None,
    jobs: int | None,
    with_roles: bool,
) -> Iterator[Restored]:
    """Restore into a new database and compare it; it is dropped at the end unless it was renamed.

    See :func:`restore` for the parameters.
    """
    started = monotonic()
    created = CreatedRoles()
    with fetch(client, entry, policy) as dump:
        if with_roles and entry.roles is not None:
            created = create_roles(client.url, fetch_roles(entry, policy))
        jobs = jobs or jobs_for(dump)
        with scratch_database(client.url) as database:
            target = replace(client, url=at(client.url, database), options=FAST)
            load(target, entry, dump, jobs=jobs, table=table)
            rows = compare_rows(target.url, entry, jobs=jobs, table=table)
            restored = _restored(entry, database, rows, started)
            yield replace(restored, roles=created.names, withheld=created.withheld)


def own_catalogue(client: Client, policy: BackupPolicy) -> Catalogue:
    """Return the catalog, which knows the backups of the client's database from others.

    Raises OperationError: the server cannot be reached.
    """
    return open_catalogue(policy, Source.read(client.url))


def choose_backup(
    catalogue: Catalogue, name: str | None, table: str | None, *, foreign: bool = False
) -> Entry:
    """Return the backup to restore, the newest full one if ``name`` is ``None``.

    Raises OperationError: ``backup_not_found``; ``foreign_backup``: it is of another database or
    server, and ``foreign`` is not set; ``newer_schema``: this checkout does not have its
    migration; ``not_full``, ``table_missing``: the table is not in it.
    """
    entry = catalogue.newest() if name is None else catalogue.get(name)
    if catalogue.is_foreign(entry) and not foreign:
        server = "" if entry.system is None else f" of server {entry.system}"
        raise OperationError(
            "foreign_backup",
            f"{entry.name} is a backup of database {entry.database}{server}, not of this one",
            "choose one of this database (template-service backup list), or pass --foreign",
        )
    if entry.revision is not None and not migrations.is_known(entry.revision):
        raise OperationError(
            Kind.NEWER_SCHEMA,
            f"{entry.name} is at migration {entry.revision}, which this release does not have",
            "restore it with the release that created it, or a newer one",
        )
    if table is None:
        return entry
    if entry.contents not in {"full", "table"}:
        raise OperationError(
            Kind.NOT_FULL, f"{entry.name} contains the {entry.contents} only", _FULL
        )
    if table not in entry.tables:
        existing = ", ".join(sorted(entry.tables)) or "none"
        raise OperationError(
            "table_missing", f"{entry.name} has no table {table}", f"its tables: {existing}"
        )
    return entry


def require_full(entry: Entry) -> None:
    """Refuse a backup of a part of the database (raises ``not_full``)."""
    if entry.contents != "full":
        raise OperationError(
            Kind.NOT_FULL, f"{entry.name} contains the {entry.contents} only", _FULL
        )


def require_new_enough(programs: Programs, entry: Entry) -> None:
    """Refuse programs that are older than the pg_dump of the backup.

    https://www.postgresql.org/docs/current/app-pgdump.html: newer ones read older dumps.

    Raises OperationError: ``client_too_old``.
    """
    major, minor = programs.version("pg_restore")
    if major < int(entry.client_version.partition(".")[0]):
        raise OperationError(
            Kind.CLIENT_TOO_OLD,
            f"pg_restore {major}.{minor} is older than the pg_dump {entry.client_version} that "
            f"created {entry.name}",
            "set TEMPLATE_SERVICE_POSTGRES_PROGRAMS to newer programs",
        )


def _require_empty(url: str, target: str) -> None:
    with administering(url) as admin:
        is_there = exists(admin, target)
    if is_there and not is_empty(at(url, target)):
        raise OperationError(
            "database_not_empty",
            f"database {target} is not empty",
            "omit --into, or name a database that does not exist; --over-live replaces the live "
            "one",
        )


def _restore_data(
    client: Client, policy: BackupPolicy, entry: Entry, into: str | None
) -> dict[str, int]:
    """Restore a dump of data alone into tables that migrations created; return rows by table."""
    upgrade = f"run 'alembic upgrade {entry.revision}' on it"
    with administering(client.url) as admin:
        if into is None or not exists(admin, into):
            raise OperationError(
                "schema_missing",
                f"{entry.name} contains rows without their tables",
                f"create a database, {upgrade}, and name it with --into",
            )
    target = replace(client, url=at(client.url, into), options=FAST)
    with connected(target.url) as connection:
        found = revision(connection)
        if found != entry.revision:
            raise OperationError(
                Kind.SCHEMA_DIFFERS,
                f"database {into} is at migration {found}, {entry.name} at {entry.revision}",
                upgrade,
            )
        filled = [name for name in sorted(entry.tables) if _has_rows(connection, name)]
    if filled:
        raise OperationError(
            "database_not_empty",
            f"tables of database {into} are not empty: {', '.join(filled)}",
            "name a database with empty tables",
        )
    with fetch(client, entry, policy) as dump:
        load_data(target, entry, dump)
        return compare_rows(target.url, entry, jobs=jobs_for(dump))


def _has_rows(connection: psycopg.Connection, table: str) -> bool:
    if table == "alembic_version":
        return False
    statement = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(SCHEMA, table))
    return connection.execute(statement).fetchone() == (True,)


def _restored(entry: Entry, database: str, rows: dict[str, int], started: float) -> Restored:
    is_behind = entry.revision is not None and entry.revision != migrations.head()
    seconds = round(monotonic() - started, 3)
    return Restored(entry.name, database, rows, entry.revision, is_behind, [], [], seconds)
