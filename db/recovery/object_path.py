"""Paths in object storage, with the methods of :class:`pathlib.Path` that recovery uses.

They raise :class:`OperationError` of :mod:`db.backup.object_store` where it cannot be reached, and
FileNotFoundError for an object that does not exist.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Literal

from db.backup.store import DirectoryStore
from db.disk import sync
from db.errors import Kind, OperationError

if TYPE_CHECKING:
    from db.backup.object_store import ObjectStore

_MODE: Final = 0o640  # as archive.sh: the group of the directory may read


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """Size in bytes, and the time of the last change in seconds since 1970."""

    st_size: int
    st_mtime: float


@dataclass(frozen=True, slots=True)
class ObjectPath:
    """An object, or a prefix of objects: ``key`` below the store's own prefix.

    Attributes
    ----------
    store
        The store; not compared.
    known
        What a listing said of the object; ``None`` for a prefix, or what was not listed.
    """

    key: str
    store: "ObjectStore" = field(compare=False)
    known: ObjectStat | None = field(default=None, compare=False)

    def __str__(self) -> str:
        """Return the URL."""
        return f"{self.store.target}/{self.key}".rstrip("/")

    def __truediv__(self, name: str) -> "ObjectPath":
        """Return the path of a name below it."""
        return ObjectPath(f"{self.key}/{name}".lstrip("/"), self.store)

    @property
    def name(self) -> str:
        """Its last part."""
        return self.key.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The suffix of its name."""
        return Path(self.name).suffix

    def is_dir(self) -> bool:
        """Return whether it may have objects below it; an empty prefix looks like one that has."""
        return self.known is None

    def is_file(self) -> bool:
        """Return whether it is an object."""
        return self.known is not None or self.exists()

    def exists(self) -> bool:
        """Return whether there is an object of that name."""
        return self.store.status(self.key) is not None

    def stat(self) -> ObjectStat:
        """Return size and time."""
        if self.known is not None:
            return self.known
        if (found := self.store.status(self.key)) is None:
            raise FileNotFoundError(str(self))
        return _stat(*found)

    def iterdir(self) -> Iterator["ObjectPath"]:
        """Yield the objects and prefixes directly below it."""
        objects, prefixes = self.store.below(self.key)
        for key, size, time in objects:
            yield ObjectPath(key, self.store, _stat(size, time))
        for key in prefixes:
            yield ObjectPath(key, self.store)

    def starting_with(self, beginning: str) -> Iterator["ObjectPath"]:
        """Yield the objects directly below it whose names have a beginning."""
        for key, size, time in self.store.starting_with(self.key, beginning):
            yield ObjectPath(key, self.store, _stat(size, time))

    def open(self, mode: Literal["rb"] = "rb") -> BinaryIO:
        """Open the object to be read once."""
        assert mode == "rb"  # noqa: S101 - for the type
        try:
            return self.store.open(self.key)
        except OperationError as error:
            if error.kind != Kind.MISSING_FILE:
                raise
            raise FileNotFoundError(str(self)) from None

    def read_bytes(self) -> bytes:
        """Return the contents."""
        with self.open() as file:
            return file.read()

    def read_text(self, errors: str = "strict") -> str:
        """Return the contents as text."""
        return self.read_bytes().decode(errors=errors)

    def unlink(self, *, missing_ok: bool = True) -> None:  # noqa: ARG002 - S3 does not tell
        """Delete the object."""
        self.store.delete(self.key)


AnyPath = Path | ObjectPath


def location(text: str, credentials_file: str = "") -> AnyPath:
    """Return the path of ``s3://bucket/prefix/…``, or of a directory.

    Parameters
    ----------
    credentials_file
        File of ``AWS_*`` variables; empty to use the environment.

    Raises OperationError: ``extra_missing``; ``credentials_unreadable``.
    """
    if not text.startswith("s3://"):
        return Path(text)
    return ObjectPath("", _store(text.rstrip("/"), credentials_file))


def listed(folder: AnyPath) -> list[AnyPath]:
    """Return what is directly in a directory, by name; nothing if it does not exist."""
    return sorted(folder.iterdir(), key=lambda path: path.name) if folder.is_dir() else []


def starting_with(folder: AnyPath, beginning: str) -> Iterator[AnyPath]:
    """Yield the files of a directory whose names have a beginning."""
    if isinstance(folder, ObjectPath):
        yield from folder.starting_with(beginning)
    else:
        yield from folder.glob(f"{beginning}*")


def create(path: AnyPath, content: bytes) -> None:
    """Write a new file, durably and as a whole (raises ``file_exists``)."""
    if isinstance(path, ObjectPath):
        path.store.write(path.key, content, is_new=True)
    else:
        DirectoryStore(path.parent, _MODE).write(path.name, content, is_new=True)


def replace(path: AnyPath, content: bytes) -> None:
    """Write a file, or replace one, durably and as a whole."""
    if isinstance(path, ObjectPath):
        path.store.write(path.key, content)
        return
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(content)
    sync(draft)
    draft.replace(path)
    sync(path.parent)


def sync_stored(path: AnyPath) -> None:
    """Flush a file and its directory to the disk; an object that can be listed is durable."""
    if isinstance(path, Path):
        sync(path)
        sync(path.parent)


@lru_cache
def _store(target: str, credentials_file: str) -> "ObjectStore":
    from db.backup.object_store import ObjectStore  # noqa: PLC0415 - needs an optional extra

    return ObjectStore(target, "", _variables(credentials_file) if credentials_file else None)


def _variables(path: str) -> Mapping[str, str]:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise OperationError(
            Kind.CREDENTIALS_UNREADABLE,
            f"the credentials file {path} cannot be read: {reason}",
            "check TEMPLATE_SERVICE_RECOVERY_CREDENTIALS_FILE",
        ) from None
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith("#"))
    return {name.strip(): value.strip() for name, separator, value in pairs if separator}


def _stat(size: int, time: datetime) -> ObjectStat:
    return ObjectStat(size, time.timestamp())
