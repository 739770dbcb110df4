"""The catalog of backups: one JSON file for each, written when all its other files are in place.

Interruptions leave a known state: files without an entry were never finished; an entry without its
files was being deleted, and the next ``prune`` continues with that.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from db.backup.policy import BackupPolicy
from db.backup.source import Source
from db.backup.store import PARTIAL, DirectoryStore, Store, missing_file
from db.bounds import Moment
from db.errors import Kind, OperationError

SIDECAR: Final = ".json"
LEFTOVER_AGE: Final = timedelta(days=1)
"""Age after which an unfinished file is no longer being written."""

CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""Tolerated difference of two machines' clocks; a later backup is dated in the future."""

Purpose = Literal["regular", "safety"]
Contents = Literal["full", "schema", "data", "table"]
Form = Literal["custom", "plain"]
# Without slashes: a name cannot lead out of the store.
Name = Annotated[str, StringConstraints(pattern=r"^\w[\w.\-]*$", max_length=200)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoredFile(_Frozen):
    """A file in the store, with the size in bytes and the checksum of its stored bytes."""

    name: Name
    part: Literal["dump", "roles"]
    size: int
    sha256: str


class TableFacts(_Frozen):
    """Row count and checksum of a table: see :func:`db.backup.snapshot.table_facts`."""

    rows: int
    digest: str


class Entry(_Frozen):
    """The catalog entry of a backup.

    Attributes
    ----------
    contents, table
        The dumped part; ``table`` is the name of the one table.
    form
        ``custom`` for pg_restore, ``plain`` for psql.
    started_at, finished_at
        The dump is the database as of ``started_at``.
    database, system
        Its source: the database, and the system identifier of the server; earlier versions did not
        record the latter.
    purpose
        ``safety`` for the state before a restore over live data, which is restored only by name.
    uncompressed
        Size of the output of pg_dump in bytes; earlier versions did not record it.
    database_bytes
        Disk space of the database; earlier versions did not record it.
    encoding
        Encoding of the database. Earlier versions did not record it; their checksums are of the
        bytes in that encoding instead of UTF-8.
    server_version, client_version
        Versions of PostgreSQL and of pg_dump, such as ``18.6``.
    revision
        The migration of the database.
    tables
        The expected tables of schema ``public`` after a restore. In a dump of the schema alone
        they have no rows.
    verified_at
        Time of the last successful restore drill.
    problem
        The error of the last drill.
    """

    name: Name
    contents: Contents
    table: str | None = None
    form: Form
    started_at: Moment
    finished_at: Moment
    database: str
    system: str | None = None
    purpose: Purpose = "regular"
    uncompressed: int | None = None
    database_bytes: int | None = None
    encoding: str | None = None
    server_version: str
    client_version: str
    revision: str | None = None
    encrypted: bool
    files: tuple[StoredFile, ...] = Field(min_length=1)
    tables: dict[str, TableFacts] = {}
    verified_at: Moment | None = None
    problem: str | None = None

    @model_validator(mode="after")
    def _one_dump(self) -> Self:
        if sum(file.part == "dump" for file in self.files) != 1:
            raise ValueError("exactly one of the files must be the dump")
        return self

    @property
    def size(self) -> int:
        """Size of all its files in bytes."""
        return sum(file.size for file in self.files)

    @property
    def dump(self) -> StoredFile:
        """The dump itself."""
        return next(file for file in self.files if file.part == "dump")

    @property
    def roles(self) -> StoredFile | None:
        """The server's roles, with a full dump only."""
        return next((file for file in self.files if file.part == "roles"), None)


class Catalogue:
    """The catalog entries of one store.

    Several services may share a store. Backups of another source are foreign: they are listed, and
    restored by name only, but neither counted nor deleted.

    Parameters
    ----------
    source
        The database of this service; ``None`` if it is not known: no backup is foreign then.
    """

    def __init__(self, store: Store, source: Source | None = None) -> None:
        self.store = store
        self.source = source

    def entries(self) -> list[Entry]:
        """Return all readable entries, the newest first."""
        found = [entry for _, entry in self._read() if isinstance(entry, Entry)]
        return sorted(found, key=lambda entry: (entry.started_at, entry.name), reverse=True)

    def is_foreign(self, entry: Entry) -> bool:
        """Return whether a backup is of another database or server."""
        source = self.source
        return source is not None and not source.includes(entry.database, entry.system)

    def own(self) -> list[Entry]:
        """Return the backups that are not foreign, the newest first."""
        return [entry for entry in self.entries() if not self.is_foreign(entry)]

    def regular(self) -> list[Entry]:
        """Return the backups that count, the newest first: own ones, for no other purpose.

        One that is dated in the future is left out: the clock of its machine was wrong, and until
        that time it would be the newest.
        """
        now = datetime.now(UTC)
        return [
            entry
            for entry in self.own()
            if entry.purpose == "regular" and not is_future(entry.started_at, now)
        ]

    def newest(self, contents: Contents = "full") -> Entry:
        """Return the newest regular backup with these contents (raises ``backup_not_found``)."""
        for entry in self.regular():
            if entry.contents == contents:
                return entry
        others = sum(entry.contents == contents for entry in self.entries())
        message = f"no {contents} backup in {self.store.target}"
        if others:
            message += f" that is restored without its name ({others} others)"
        raise OperationError(
            Kind.BACKUP_NOT_FOUND,
            message,
            "create one with template-service backup create, or set TEMPLATE_SERVICE_BACKUP_TARGET"
            + ("; template-service backup list shows the others" if others else ""),
        )

    def get(self, name: str) -> Entry:
        """Return a backup by its name or the name of one of its files.

        Raises OperationError: ``backup_not_found``, with the existing names; ``entry_unreadable``.
        """
        for sidecar, entry in self._read():
            if isinstance(entry, OperationError):
                if name in {sidecar, sidecar.removesuffix(SIDECAR)}:
                    raise entry
            elif name in {entry.name, sidecar, *(file.name for file in entry.files)}:
                return entry
        existing = ", ".join(entry.name for entry in self.entries())
        raise OperationError(
            Kind.BACKUP_NOT_FOUND,
            f"no backup {name} in {self.store.target}",
            f"choose one of: {existing}" if existing else "it is empty: create a backup first",
        )

    def add(self, entry: Entry, *, is_new: bool = False) -> None:
        """Write or replace the entry of a backup whose files are in place.

        Raises OperationError: ``file_exists``: it is new, and another one has its name.
        """
        content = entry.model_dump_json(indent=2, exclude_none=True)
        self.store.write(entry.name + SIDECAR, f"{content}\n".encode(), is_new=is_new)

    def remove(self, entry: Entry) -> None:
        """Delete a backup.

        Its files go first: the next ``prune`` deletes an entry without files, while files without
        an entry could be anything.
        """
        for file in entry.files:
            self.store.delete(file.name)
        self.store.delete(entry.name + SIDECAR)

    def strays(self) -> list[str]:
        """Return the files without an entry, and old unfinished files, but no foreign ones."""
        names = self.store.names()
        known = set()
        for name, entry in self._read():
            known.add(name)
            if isinstance(entry, Entry):
                known |= {file.name for file in entry.files}
            else:
                # Files with the name of an unreadable entry are probably its own.
                stem = name.removesuffix(SIDECAR)
                known |= {other for other in names if other.startswith(f"{stem}.")}
        found = [*sorted(names.keys() - known), *self._leftovers(datetime.now(UTC))]
        return [name for name in found if not self._is_foreign_name(name)]

    def own_leftovers(self, now: datetime) -> list[str]:
        """Return old unfinished files of this source."""
        source = self.source
        return [
            name
            for name in self._leftovers(now)
            if source is None or source.owns_name(name.removesuffix(PARTIAL))
        ]

    def _leftovers(self, now: datetime) -> list[str]:
        return self.store.leftovers(now - LEFTOVER_AGE)

    def _is_foreign_name(self, name: str) -> bool:
        return self.source is not None and self.source.is_foreign_name(name.removesuffix(PARTIAL))

    def missing(self) -> list[Entry]:
        """Return the own entries with a file that is missing or has a wrong size."""
        names = self.store.names()
        return [
            entry
            for entry in self.own()
            if any(names.get(file.name) != file.size for file in entry.files)
        ]

    def unreadable(self) -> list[OperationError]:
        """Return an error ``entry_unreadable`` for each own entry that cannot be parsed."""
        return [
            entry
            for name, entry in self._read()
            if isinstance(entry, OperationError) and not self._is_foreign_name(name)
        ]

    def problems(self) -> list[OperationError]:
        """Return an error for each problem that names, sizes and dates show."""
        names, now = self.store.names(), datetime.now(UTC)
        found = self.unreadable()
        for entry in self.own():
            if is_future(entry.started_at, now):
                found.append(_future_date(entry))
            for file in entry.files:
                if file.name not in names:
                    found.append(missing_file(file.name, self.store.target))
                elif names[file.name] != file.size:
                    found.append(wrong_size(file, names[file.name]))
        return found + [unlisted_file(name, self.store.target) for name in self.strays()]

    def _read(self) -> Iterator[tuple[str, Entry | OperationError]]:
        for name in self.store.names():
            if not name.endswith(SIDECAR):
                continue
            try:
                with self.store.open(name) as file:
                    content = file.read()
            except OperationError as error:
                # Deleted since the names were listed.
                if error.kind != Kind.MISSING_FILE:
                    raise
            else:
                yield name, _parsed(name, content)


def open_store(target: str, scratch: str = "") -> Store:
    """Return the store at ``target``; nothing is written yet.

    Raises OperationError: ``target_unknown``; ``extra_missing``: the extra for object storage is
    not installed.

    Parameters
    ----------
    target
        A directory, or ``s3://bucket/prefix``.
    scratch
        Directory for files to be uploaded; empty for the system's temporary one.
    """
    scheme, separator, _ = target.partition("://")
    if not separator:
        return DirectoryStore(Path(target))
    if scheme != "s3":
        raise OperationError(
            "target_unknown",
            f"unsupported backup target: {scheme}://",
            "set TEMPLATE_SERVICE_BACKUP_TARGET to a directory, or to s3://bucket/prefix",
        )
    from db.backup.object_store import ObjectStore  # noqa: PLC0415 - needs an optional extra

    return ObjectStore(target, scratch)


def open_catalogue(policy: BackupPolicy, source: Source | None = None) -> Catalogue:
    """Return the catalog of the policy's target; see :func:`open_store`."""
    return Catalogue(open_store(policy.target, policy.scratch), source)


def hook_facts(entry: Entry, policy: BackupPolicy) -> dict[str, Any]:
    """Return the facts about a backup that a hook gets."""
    return {"target": policy.target, "entry": entry.model_dump(mode="json", exclude_none=True)}


def is_future(time: datetime, now: datetime) -> bool:
    """Return whether a time is later than the clocks of two machines explain."""
    return time > now + CLOCK_TOLERANCE


def wrong_size(file: StoredFile, size: int) -> OperationError:
    """Return the error for a file whose size differs from the catalog."""
    kind = "truncated" if size < file.size else Kind.CHECKSUM_MISMATCH
    return OperationError(
        kind,
        f"size mismatch in {file.name}: expected {file.size} bytes, found {size}",
        "restore from another backup; copy this file back if you have a copy",
    )


def unlisted_file(name: str, target: str) -> OperationError:
    """Return the error for a file without an entry."""
    return OperationError(
        Kind.UNLISTED_FILE,
        f"{name} in {target} has no entry in the catalog",
        "an interrupted backup may have left it, or its entry was lost: copy the .json file back, "
        "or delete this file with template-service backup prune --unlisted",
    )


def _future_date(entry: Entry) -> OperationError:
    return OperationError(
        "future_date",
        f"{entry.name} is dated {entry.started_at:%Y-%m-%d %H:%M:%S} UTC, which is in the future",
        "correct the clock of the machine that created it, then run template-service backup "
        "create; until that time it is restored only by its name",
    )


def _parsed(name: str, content: bytes) -> Entry | OperationError:
    try:
        entry = Entry.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        reason = f"{'.'.join(map(str, first['loc']))} {first['msg']}".strip()
    else:
        if entry.name + SIDECAR == name:
            return entry
        reason = f"it is the entry of {entry.name}"
    return OperationError(
        Kind.ENTRY_UNREADABLE,
        f"the catalog entry {name} cannot be read: {reason}",
        "restore it from a copy, or delete it if the backup is not needed",
    )
