"""What is known of each backup: one JSON file beside it, written when all else is there.

What was interrupted in between explains itself: files without an entry were never finished, an
entry without its files was being deleted, and the next ``prune`` goes on with that.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from db.backup.store import Store, missing_file
from db.errors import OperationError

SIDECAR: Final = ".json"
LEFTOVER_AGE: Final = timedelta(days=1)
"""After which nobody writes to a file under way any more."""

Contents = Literal["full", "schema", "data", "table"]
Form = Literal["custom", "plain"]
# A name never leads out of the store.
Name = Annotated[str, StringConstraints(pattern=r"^\w[\w.\-]*$", max_length=200)]


class _Known(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoredFile(_Known):
    """One file as it lies in the store: its size in bytes, and the checksum of just those."""

    name: Name
    part: Literal["dump", "roles"]
    size: int
    sha256: str


class TableFacts(_Known):
    """What a table held: see :func:`db.backup.facts.table_facts`."""

    rows: int
    digest: str


class Entry(_Known):
    """One backup.

    Attributes
    ----------
    contents, table
        What was dumped; ``table`` is the name of the one table.
    form
        ``custom`` is for pg_restore, ``plain`` for psql.
    started_at, finished_at
        The dump is the database as of ``started_at``.
    server_version, client_version
        Of PostgreSQL and of pg_dump, such as ``18.6``.
    revision
        The migration that the database was at.
    tables
        What a restore of this dump has to bring back, by table of schema ``public``. For a dump of
        the schema alone that is tables without rows.
    verified_at
        When a restore drill last proved it.
    problem
        What the last drill found wrong.
    """

    name: Name
    contents: Contents
    table: str | None = None
    form: Form
    started_at: AwareDatetime
    finished_at: AwareDatetime
    database: str
    server_version: str
    client_version: str
    revision: str | None = None
    encrypted: bool
    files: tuple[StoredFile, ...] = Field(min_length=1)
    tables: dict[str, TableFacts] = {}
    verified_at: AwareDatetime | None = None
    problem: str | None = None

    @model_validator(mode="after")
    def _one_dump(self) -> Self:
        if sum(file.part == "dump" for file in self.files) != 1:
            raise ValueError("one dump was expected among its files")
        return self

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)

    @property
    def dump(self) -> StoredFile:
        """The dump itself."""
        return next(file for file in self.files if file.part == "dump")

    @property
    def roles(self) -> StoredFile | None:
        """The roles of the server, with a full dump only."""
        return next((file for file in self.files if file.part == "roles"), None)


class Catalogue:
    """The entries of one store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def entries(self) -> list[Entry]:
        """Return all entries that can be read, the newest first."""
        found = [entry for _, entry in self._read() if isinstance(entry, Entry)]
        return sorted(found, key=lambda entry: (entry.started_at, entry.name), reverse=True)

    def newest(self, contents: Contents = "full") -> Entry:
        """Return the newest backup of some contents.

        Raises
        ------
        OperationError
            ``backup_not_found``.
        """
        for entry in self.entries():
            if entry.contents == contents:
                return entry
        raise OperationError(
            "backup_not_found",
            f"there is no {contents} backup in {self.store.target}",
            "make one with template-service backup create, or set TEMPLATE_SERVICE_BACKUP_TARGET",
        )

    def get(self, name: str) -> Entry:
        """Return the backup of that name, or the one that has a file of that name.

        Raises
        ------
        OperationError
            ``backup_not_found``, naming those that are there; ``entry_unreadable``.
        """
        for sidecar, entry in self._read():
            if isinstance(entry, OperationError):
                if name in {sidecar, sidecar.removesuffix(SIDECAR)}:
                    raise entry
            elif name in {entry.name, sidecar, *(file.name for file in entry.files)}:
                return entry
        there = ", ".join(entry.name for entry in self.entries())
        raise OperationError(
            "backup_not_found",
            f"there is no backup {name} in {self.store.target}",
            f"one of these was expected: {there}" if there else "it is empty; make one first",
        )

    def add(self, entry: Entry) -> None:
        """Write the entry of a backup whose files are in place; only now does it count."""
        content = entry.model_dump_json(indent=2, exclude_none=True)
        self.store.write(entry.name + SIDECAR, f"{content}\n".encode())

    def update(self, entry: Entry) -> None:
        """Write an entry over the one of its name."""
        self.add(entry)

    def remove(self, entry: Entry) -> None:
        """Delete a backup.

        Its files go first: an entry without them is deleted by the next ``prune``, while files
        without an entry might be anything.
        """
        for file in entry.files:
            self.store.delete(file.name)
        self.store.delete(entry.name + SIDECAR)

    def strays(self) -> list[str]:
        """Return the files that no entry knows, and what interrupted dumps left long ago."""
        names = self.store.names()
        known = set()
        for name, entry in self._read():
            known.add(name)
            if isinstance(entry, Entry):
                known |= {file.name for file in entry.files}
            else:
                # Whatever the entry said, those with its name are probably its files.
                stem = name.removesuffix(SIDECAR)
                known |= {other for other in names if other.startswith(f"{stem}.")}
        leftovers = self.store.leftovers(datetime.now(UTC) - LEFTOVER_AGE)
        return sorted(names.keys() - known) + leftovers

    def missing(self) -> list[Entry]:
        """Return the entries of which a file is not there or has another size."""
        names = self.store.names()
        return [
            entry
            for entry in self.entries()
            if any(names.get(file.name) != file.size for file in entry.files)
        ]

    def unreadable(self) -> list[OperationError]:
        """Return a problem, ``entry_unreadable``, for each entry that makes no sense."""
        return [entry for _, entry in self._read() if isinstance(entry, OperationError)]

    def problems(self) -> list[OperationError]:
        """Return all that is wrong as far as names and sizes tell, one error for each."""
        names = self.store.names()
        found = self.unreadable()
        for entry in self.entries():
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
                # Deleted since the names were listed: no entry any more.
                if error.kind != "missing_file":
                    raise
            else:
                yield name, _parsed(name, content)


def wrong_size(file: StoredFile, size: int) -> OperationError:
    """Return the error for a file of another size than the catalogue says."""
    kind = "truncated" if size < file.size else "checksum_mismatch"
    return OperationError(
        kind,
        f"{file.name} has {size} bytes and should have {file.size}",
        "restore from another backup; bring this file back from a copy if there is one",
    )


def unlisted_file(name: str, target: str) -> OperationError:
    """Return the error for a file without an entry."""
    return OperationError(
        "unlisted_file",
        f"{name} is in {target} without an entry in the catalogue",
        "an interrupted backup may have left it, or its entry was lost: bring the .json file back, "
        "or take this one away with template-service backup prune --unlisted",
    )


def _parsed(name: str, content: bytes) -> Entry | OperationError:
    try:
        entry = Entry.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        told = f"{'.'.join(map(str, first['loc']))} {first['msg']}".strip()
    else:
        if entry.name + SIDECAR == name:
            return entry
        told = f"it says that it is {entry.name}"
    return OperationError(
        "entry_unreadable",
        f"the entry {name} cannot be read: {told}",
        "bring it back from a copy, or delete it if the backup is not needed",
    )
