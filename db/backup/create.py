"""Create a backup: dump a snapshot, verify that it is complete, and add it to the catalog."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Final, Literal, Self

import psycopg

from db.addresses import Database
from db.backup.catalogue import (
    Contents,
    Entry,
    Form,
    Purpose,
    StoredFile,
    TableFacts,
    hook_facts,
    open_catalogue,
)
from db.backup.databases import named
from db.backup.encryption import SUFFIX as ENCRYPTED
from db.backup.encryption import recipients
from db.backup.policy import BackupPolicy
from db.backup.roles import SUFFIX as ROLES_SUFFIX
from db.backup.roles import read_roles
from db.backup.snapshot import (
    EMPTY,
    Snapshot,
    database_size,
    encoding,
    exported,
    revision,
    table_facts,
    table_names,
)
from db.backup.source import Source
from db.backup.store import PARTIAL, Store, create_file, file_exists, unwritable
from db.backup.streams import Progress, suffix, write
from db.backup.verify import checked, completeness
from db.commands.core import Client
from db.commands.dump import dump
from db.errors import Kind, OperationError
from db.hooks import run_hook
from db.locks import alone
from db.postgres_errors import permanent_errors_explained
from db.session import make_engine

if TYPE_CHECKING:
    from pathlib import Path

LOCK: Final = "maintenance.backup"


class BackupRunningError(OperationError):
    """Another backup of this database is running."""


def create(  # noqa: PLR0913 - options by name
    client: Client,
    policy: BackupPolicy,
    *,
    contents: Contents = "full",
    table: str | None = None,
    form: Form = "custom",
    purpose: Purpose = "regular",
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Entry:
    """Create a backup and return its entry.

    ``pg_dump`` and the checksums of the tables use the same snapshot. A file gets its name only
    when the program succeeded and its output is complete; the entry is written last.

    Raises OperationError: ``client_too_old``, ``table_not_found``, ``pg_dump_failed``,
    ``disk_full``, ``target_unwritable``, ``password_refused``, ``permission_denied`` and others. No
    file of this backup is left, and existing backups are unchanged.
    Raises BackupRunningError: another backup is running.
    Raises psycopg.Error, sqlalchemy.exc.DBAPIError: The server cannot be reached.

    Parameters
    ----------
    client
        Connected as a role that may read everything.
    contents, table
        The whole database, its schema or its data alone, or the one ``table`` of schema ``public``.
    form
        ``custom`` for pg_restore, or ``plain`` SQL for psql.
    purpose
        ``safety`` for the state before a change of live data.
    now
        Time of the backup; by default the current time.
    progress
        Called with the compressed bytes written so far.
    """
    catalogue, keys = open_catalogue(policy), _recipients(policy)
    start = monotonic()
    with _alone(client), _NewFiles(catalogue.store, keys) as files:
        about = {"database": named(client.url), "contents": contents, "table": table}
        run_hook(policy.before_dump, "before_dump", about | {"form": form, "purpose": purpose})
        with exported(client) as snapshot:
            _refuse_old(snapshot)
            tables = _tables(snapshot, table)
            stored_in = encoding(snapshot.connection)
            database_bytes = database_size(snapshot.connection)
            at_revision = revision(snapshot.connection)
            started_at = now or datetime.now(UTC)
            source = Source.of(snapshot.connection)
            name = source.new_name(started_at, *_contents(contents, table))
            output_size = _Size()
            with (
                _counting(snapshot, [] if contents == "schema" else tables) as counted,
                completeness(form, client.programs) as check,
                closing(
                    dump(
                        snapshot.client,
                        contents=contents,
                        table=table,
                        form=form,
                        snapshot=snapshot.name,
                    )
                ) as output,
            ):
                file = name + suffix(form, encrypted=bool(keys))
                files.write(file, "dump", output_size.of(checked(output, check)), progress)
                facts = counted()
            if contents == "full":
                roles = read_roles(snapshot.connection, passwords=snapshot.is_superuser)
                file = name + ROLES_SUFFIX + (ENCRYPTED if keys else "")
                files.write(file, "roles", roles.chunks())
        files.put()
        entry = Entry(
            name=name,
            contents=contents,
            table=table,
            form=form,
            started_at=started_at,
            finished_at=started_at + timedelta(seconds=monotonic() - start),
            database=source.database,
            system=source.system,
            purpose=purpose,
            uncompressed=output_size.total,
            database_bytes=database_bytes,
            encoding=stored_in,
            server_version=snapshot.server_version,
            client_version="{}.{}".format(*client.programs.version("pg_dump")),
            revision=at_revision,
            encrypted=bool(keys),
            files=tuple(files.stored),
            tables=dict.fromkeys(tables, EMPTY) | facts,
        )
        catalogue.add(entry, is_new=True)
    run_hook(policy.after_dump, "after_dump", hook_facts(entry, policy))
    return entry


def check_ready(client: Client, policy: BackupPolicy) -> Source:
    """Check whether a backup can be created: settings, server, programs and store.

    Returns the source of the backup.

    Raises OperationError: the errors of :func:`create` that can be found in advance.
    """
    _recipients(policy)
    open_catalogue(policy).store.names()
    with exported(client) as snapshot:
        _refuse_old(snapshot)
        return Source.of(snapshot.connection)


def _recipients(policy: BackupPolicy) -> list[object]:
    return recipients(policy.recipients_file) if policy.recipients_file else []


@contextmanager
def _alone(client: Client) -> Iterator[None]:
    engine = make_engine(Database(url=client.url, pool_size=1, statement_timeout=0))
    try:
        with permanent_errors_explained(), alone(engine, LOCK) as free:
            if not free:
                raise BackupRunningError(
                    "backup_running",
                    "another backup of this database is running",
                    "wait until it ends",
                )
            yield
    finally:
        engine.dispose()


def _refuse_old(snapshot: Snapshot) -> None:
    client = snapshot.client
    major, minor = client.programs.version("pg_dump")
    if major < snapshot.server_major:
        raise OperationError(
            Kind.CLIENT_TOO_OLD,
            f"pg_dump {major}.{minor} is older than the server, PostgreSQL "
            f"{snapshot.server_version}, and could not dump all of it",
            "set TEMPLATE_SERVICE_POSTGRES_PROGRAMS to the directory of newer programs, "
            f"such as /usr/lib/postgresql/{snapshot.server_major}/bin",
        )


def _tables(snapshot: Snapshot, table: str | None) -> list[str]:
    tables = table_names(snapshot.connection)
    if table is None:
        return tables
    if table not in tables:
        raise OperationError(
            "table_not_found",
            f"no table {table} in schema public of {snapshot.database}",
            f"choose one of: {', '.join(tables)}",
        )
    return [table]


@contextmanager
def _counting(
    snapshot: Snapshot, tables: Sequence[str]
) -> Iterator[Callable[[], dict[str, TableFacts]]]:
    """Count and hash the tables while the block runs, in the snapshot's own connection."""

    def facts(table: str) -> TableFacts:
        with permanent_errors_explained():
            return table_facts(snapshot.connection, table)

    with ThreadPoolExecutor(1, "facts") as pool:
        pending = {table: pool.submit(facts, table) for table in tables}
        try:
            yield lambda: {table: future.result() for table, future in pending.items()}
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            # If the server is gone there is nothing to cancel.
            with suppress(psycopg.Error):
                snapshot.connection.cancel_safe()
            raise


def _contents(contents: Contents, table: str | None) -> list[str]:
    if table is not None:
        return ["table", table]
    return [] if contents == "full" else [contents]


class _Size:
    """Counts bytes on their way."""

    total = 0

    def of(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield all chunks."""
        for chunk in chunks:
            self.total += len(chunk)
            yield chunk


class _NewFiles:
    """The files of a new backup, which are deleted again if the ``with`` block fails.

    Files that another process created are not touched.
    """

    def __init__(self, store: Store, keys: Sequence[object]) -> None:
        self._store = store
        self._keys = keys
        self._drafts: list[Path] = []
        self._placed: list[str] = []
        self.stored: list[StoredFile] = []

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Delete unfinished files, and after an error finished ones too."""
        for draft in self._drafts:
            draft.unlink(missing_ok=True)
        for name in self._placed if kind is not None else ():
            with suppress(OperationError):  # the first error is the one to report
                self._store.delete(name)

    def write(
        self,
        name: str,
        part: Literal["dump", "roles"],
        output: Iterator[bytes],
        progress: Progress | None = None,
    ) -> None:
        """Write the output of a program to an unfinished file."""
        draft = self._store.workspace() / f"{name}{PARTIAL}"
        try:
            create_file(draft).close()
        except FileExistsError:
            raise file_exists(draft.name, self._store.target) from None
        except OSError as error:
            raise unwritable(self._store.target, error) from None
        self._drafts.append(draft)
        done = write(output, draft, self._keys, progress)
        self.stored.append(StoredFile(name=name, part=part, size=done.size, sha256=done.sha256))

    def put(self) -> None:
        """Move all files into the store."""
        for draft, file in zip(self._drafts, self.stored, strict=True):
            self._store.put(draft, file.name)
            self._placed.append(file.name)
