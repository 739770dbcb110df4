"""Stores of backup files: the protocol, a local directory, and errors of both kinds of stores."""

import errno
import io
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol

from db.disk import sync
from db.errors import FULL, Kind, OperationError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK: Final = 1024 * 1024
PARTIAL: Final = ".partial"
CHECK_TARGET: Final = (
    "check the target and its permissions: TEMPLATE_SERVICE_BACKUP_TARGET for dumps, "
    "TEMPLATE_SERVICE_RECOVERY_TARGET for base backups and WAL"
)
_NO_LINKS: Final = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}


class Store(Protocol):
    """Files in one directory or bucket; each appears whole or not at all.

    Its methods raise :class:`OperationError`: ``missing_file``, ``target_unreadable``,
    ``target_unwritable`` or ``disk_full``.
    """

    @property
    def target(self) -> str:
        """The configured target."""

    def names(self) -> dict[str, int]:
        """Return the size in bytes of each finished file, by its name."""

    def open(self, name: str) -> BinaryIO:
        """Return a file to read from its start to its end."""

    def put(self, path: Path, name: str) -> None:
        """Move a finished file of :meth:`workspace` into the store, atomically and durably.

        Raises OperationError: ``file_exists``: a file has that name; it stays unchanged.
        """

    def write(self, name: str, content: bytes, *, is_new: bool = False) -> None:
        """Write a small file atomically.

        Parameters
        ----------
        is_new
            Whether to raise ``file_exists`` instead of replacing a file of that name.
        """

    def delete(self, name: str) -> None:
        """Delete a file if it exists."""

    def workspace(self) -> Path:
        """Return the directory for unfinished files, whose names end in :data:`PARTIAL`."""

    def free(self) -> int | None:
        """Return the free space in bytes; ``None`` if it is not limited, or not known."""

    def leftovers(self, before: datetime) -> list[str]:
        """Return the unfinished files that were last written to before a time."""


class DirectoryStore:
    """A local directory that only its owner may enter.

    Parameters
    ----------
    directory
        Created with mode 0700 for the first file; an existing one keeps its mode.
    mode
        Permissions of small files.
    """

    def __init__(self, directory: Path, mode: int = 0o600) -> None:
        self._directory = directory.absolute()
        self._mode = mode

    @property
    def target(self) -> str:
        """The absolute path."""
        return str(self._directory)

    def names(self) -> dict[str, int]:
        """Return the finished files; hidden files are ignored."""
        return {
            entry.name: entry.stat().st_size
            for entry in self._entries()
            if not entry.name.startswith(".") and not entry.name.endswith(PARTIAL)
        }

    def open(self, name: str) -> BinaryIO:
        """Open the file."""
        try:
            return (self._directory / name).open("rb")
        except FileNotFoundError:
            raise missing_file(name, self.target) from None
        except OSError as error:
            raise unreadable(self.target, _reason(error)) from None

    def put(self, path: Path, name: str) -> None:
        """Sync the file and give it its name, then sync the directory."""
        try:
            sync(path)
            self._rename_to_new(path, self._directory / name)
            sync(self._directory)
        except FileExistsError:
            raise file_exists(name, self.target) from None
        except OSError as error:
            raise unwritable(self.target, error) from None

    def write(self, name: str, content: bytes, *, is_new: bool = False) -> None:
        """Write a file under a temporary name, then rename it."""
        # Two drills may update one entry at the same time.
        draft = self.workspace() / f"{name}.{secrets.token_hex(4)}{PARTIAL}"
        try:
            with create_file(draft, self._mode) as file:
                file.write(content)
            if is_new:
                self.put(draft, name)
            else:
                sync(draft)
                draft.replace(self._directory / name)
                sync(self._directory)
        except OSError as error:
            raise unwritable(self.target, error) from None
        finally:
            with suppress(OSError):  # a file system that is read-only refuses this too
                draft.unlink(missing_ok=True)

    def delete(self, name: str) -> None:
        """Remove the file."""
        try:
            (self._directory / name).unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(self.target, error) from None

    def workspace(self) -> Path:
        """Return the directory itself: a rename is atomic within one file system only."""
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self.target, error) from None
        return self._directory

    def free(self) -> int | None:
        """Return the free space of its file system."""
        places = (self._directory, *self._directory.parents)
        return shutil.disk_usage(next(path for path in places if path.is_dir())).free

    def leftovers(self, before: datetime) -> list[str]:
        """Return the files of interrupted dumps."""
        return sorted(
            entry.name
            for entry in self._entries()
            if entry.name.endswith(PARTIAL)
            and datetime.fromtimestamp(entry.stat().st_mtime, UTC) < before
        )

    @staticmethod
    def _rename_to_new(path: Path, target: Path) -> None:
        """Rename a file (raises FileExistsError), where ``rename`` would replace another one."""
        try:
            target.hardlink_to(path)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # Some network file systems have no hard links: the empty file reserves the name.
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            path.replace(target)
        else:
            path.unlink()

    def _entries(self) -> list[Path]:
        found = []
        try:
            for entry in self._directory.iterdir():
                # Another process may have renamed or deleted it since it was listed.
                with suppress(FileNotFoundError):
                    if entry.is_file():
                        entry.stat()
                        found.append(entry)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise unreadable(self.target, _reason(error)) from None
        return found


class Chunks(io.RawIOBase, BinaryIO):
    """A file-like object over an iterator of bytes, read once from start to end.

    Parameters
    ----------
    chunks
        Its bytes; an empty chunk does not end it.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return true."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill a part of a buffer; return the number of bytes, 0 at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        target = memoryview(buffer).cast("B")
        size = min(len(target), len(self._rest))
        target[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def read_chunks(file: BinaryIO) -> Iterator[bytes]:
    """Yield the rest of a file, at most :data:`CHUNK` bytes at a time."""
    while chunk := file.read(CHUNK):
        yield chunk


def create_file(path: Path, mode: int = 0o600) -> BinaryIO:
    """Open a new file that by default only this user may read (raises FileExistsError)."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb")


def unwritable(target: str, error: OSError) -> OperationError:
    """Return the error for a target that is full or cannot be written to."""
    if error.errno in FULL:
        return OperationError(
            Kind.DISK_FULL,
            f"{target} is full: {_reason(error)}",
            "free some space and retry; existing backups are unchanged",
        )
    return OperationError(
        Kind.TARGET_UNWRITABLE,
        f"{target} cannot be written to: {_reason(error)}",
        CHECK_TARGET,
    )


def unreadable(target: str, reason: str) -> OperationError:
    """Return the error for a target that cannot be read."""
    return OperationError(
        Kind.TARGET_UNREADABLE,
        f"{target} cannot be read: {reason}",
        CHECK_TARGET,
    )


def missing_file(name: str, target: str) -> OperationError:
    """Return the error for a file with a catalog entry that is not in the store."""
    return OperationError(
        Kind.MISSING_FILE,
        f"{name} is not in {target}",
        "copy it back if you have a copy; else template-service backup prune removes its entry "
        "when it expires",
    )


def file_exists(name: str, target: str) -> OperationError:
    """Return the error for a new file whose name is taken."""
    return OperationError(
        Kind.FILE_EXISTS,
        f"{name} is already in {target}",
        "retry: each backup gets a new name",
    )


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
