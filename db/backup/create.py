"""Make a backup: one state of the database, dumped, counted, proved whole, and catalogued."""

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final

import psycopg

from db.backup.catalogue import Catalogue, Contents, Entry, Form, TableFacts
from db.backup.encryption import recipients
from db.backup.facts import EMPTY
from db.backup.files import NewFiles
from db.backup.policy import BackupPolicy
from db.backup.proofs import observed, proof
from db.backup.snapshot import Snapshot, exported
from db.backup.store import Store, open_store
from db.backup.streams import Progress, suffix
from db.commands.core import Client, explained
from db.commands.dump import dump, dump_roles
from db.errors import OperationError
from db.locks import alone
from db.session import Database, make_engine

LOCK: Final = "maintenance.backup"
_NO_LETTER: Final = re.compile(r"[^0-9A-Za-z_-]")


class BackupRunningError(OperationError):
    """Another backup of this database is under way."""


def create(  # noqa: PLR0913 - by name only, and each with a default that fits
    client: Client,
    policy: BackupPolicy,
    *,
    contents: Contents = "full",
    table: str | None = None,
    form: Form = "custom",
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Entry:
    """Make a backup and return its entry.

    ``pg_dump`` and the facts about the tables see the same snapshot. A file gets its name only when
    the program ended well and what it wrote was proved whole; the entry is written last.

    Parameters
    ----------
    client
        Connected as a role that may read everything.
    contents, table
        The whole database, its schema or its data alone, or one table of schema ``public``, which
        ``table`` names.
    form
        ``custom`` for pg_restore, or ``plain`` SQL for psql.
    now
        When it was made, if not now.
    progress
        Called with the bytes that the dump has so far, compressed.

    Raises
    ------
    OperationError
        ``client_too_old``, ``table_not_found``, ``pg_dump_failed``, ``disk_full``,
        ``target_unwritable``, ``password_refused``, ``permission_denied`` and others. Nothing is
        left of this backup then, and those that were there are untouched.
    BackupRunningError
        One at a time.
    psycopg.Error, sqlalchemy.exc.DBAPIError
        The server is away.
    """
    store, keys = _places(policy)
    start = monotonic()
    with _alone(client), NewFiles(store, keys) as files:
        with exported(client) as snapshot:
            _refuse_old(snapshot)
            tables = _chosen(snapshot, table)
            revision = snapshot.revision()
            started_at = now or datetime.now(UTC)
            name = _unused(store, _name(snapshot.database, started_at, contents, table))
            with (
                _counting(snapshot, [] if contents == "schema" else tables) as counted,
                proof(form, client.programs) as proved,
                closing(
                    dump(
                        snapshot.client,
                        contents=contents,
                        table=table,
                        form=form,
                        snapshot=snapshot.name,
                    )
                ) as printed,
            ):
                file = name + suffix(form, encrypted=bool(keys))
                files.write(file, "dump", observed(printed, proved), progress)
                facts = counted()
        if contents == "full":
            _write_roles(files, name + ".roles" + suffix("plain", encrypted=bool(keys)), snapshot)
        files.put()
        entry = Entry(
            name=name,
            contents=contents,
            table=table,
            form=form,
            started_at=started_at,
            finished_at=started_at + timedelta(seconds=monotonic() - start),
            database=snapshot.database,
            server_version=snapshot.server_version,
            client_version="{}.{}".format(*client.programs.version("pg_dump")),
            revision=revision,
            encrypted=bool(keys),
            files=tuple(files.stored),
            tables=dict.fromkeys(tables, EMPTY) | facts,
        )
        Catalogue(store).add(entry)
    return entry


def ready(client: Client, policy: BackupPolicy) -> None:
    """Look whether a backup could be made: settings, server, programs and store.

    Raises
    ------
    OperationError
        As of :func:`create`, as far as it can be known before.
    """
    store, _ = _places(policy)
    store.names()
    with exported(client) as snapshot:
        _refuse_old(snapshot)


def _places(policy: BackupPolicy) -> tuple[Store, list[object]]:
    store = open_store(policy.target, policy.scratch)
    return store, recipients(policy.recipients_file) if policy.recipients_file else []


@contextmanager
def _alone(client: Client) -> Iterator[None]:
    engine = make_engine(Database(url=client.url, pool_size=1, statement_timeout=0))
    try:
        with explained(), alone(engine, LOCK) as free:
            if not free:
                raise BackupRunningError(
                    "backup_running",
                    "another backup of this database is under way",
                    "wait for its end",
                )
            yield
    finally:
        engine.dispose()


def _refuse_old(snapshot: Snapshot) -> None:
    client = snapshot.client
    major, minor = client.programs.version("pg_dump")
    if major < snapshot.server_major:
        raise OperationError(
            "client_too_old",
            f"pg_dump {major}.{minor} is older than the server, PostgreSQL "
            f"{snapshot.server_version}, and would not dump all of it",
            "set TEMPLATE_SERVICE_POSTGRES_PROGRAMS to the folder of programs that are as new, "
            f"such as /usr/lib/postgresql/{snapshot.server_major}/bin",
        )


def _chosen(snapshot: Snapshot, table: str | None) -> list[str]:
    tables = snapshot.tables()
    if table is None:
        return tables
    if table not in tables:
        raise OperationError(
            "table_not_found",
            f"there is no table {table} in schema public of {snapshot.database}",
            f"one of these was expected: {', '.join(tables)}",
        )
    return [table]


def _name(database: str, now: datetime, contents: Contents, table: str | None) -> str:
    parts = [database, f"{now.astimezone(UTC):%Y%m%d_%H%M%S}"]
    if table is not None:
        parts += ["table", table]
    elif contents != "full":
        parts.append(contents)
    return _NO_LETTER.sub("_", "_".join(parts))


def _unused(store: Store, name: str) -> str:
    taken = {file.partition(".")[0] for file in store.names()}
    number, chosen = 1, name
    while chosen in taken:
        number += 1
        chosen = f"{name}_{number}"
    return chosen


@contextmanager
def _counting(
    snapshot: Snapshot, tables: Sequence[str]
) -> Iterator[Callable[[], dict[str, TableFacts]]]:
    """Take the facts of the tables while the block runs, in the snapshot's own connection."""
    with ThreadPoolExecutor(1, "facts") as pool:
        under_way = {table: pool.submit(snapshot.facts, table) for table in tables}
        try:
            yield lambda: {table: found.result() for table, found in under_way.items()}
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            # Of a server that is gone there is nothing to cancel.
            with suppress(psycopg.Error):
                snapshot.connection.cancel_safe()
            raise


def _write_roles(files: NewFiles, name: str, snapshot: Snapshot) -> None:
    with (
        proof("plain", snapshot.client.programs) as proved,
        closing(
            dump_roles(snapshot.client, database=snapshot.database, passwords=snapshot.is_superuser)
        ) as printed,
    ):
        files.write(name, "roles", observed(printed, proved))
