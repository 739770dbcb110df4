"""Where dumps are kept: a folder, or object storage by URL."""

import errno
import os
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from db.errors import OperationError

PARTIAL: Final = ".partial"
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Store(Protocol):
    """Files in one place, each there whole or not at all."""

    @property
    def target(self) -> str:
        """The place as the operator named it."""
        ...

    def names(self) -> dict[str, int]:
        """Return the size in bytes of each finished file, by its name."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Return a file to read from its start to its end.

        Raises
        ------
        OperationError
            ``missing_file``, ``target_unreadable``.
        """
        ...

    def put(self, path: Path, name: str) -> None:
        """Move a finished file of :meth:`workspace` to its place, at once and for good.

        Raises
        ------
        OperationError
            ``disk_full``, ``target_unwritable``.
        """
        ...

    def write(self, name: str, content: bytes) -> None:
        """Write a small file whole, over the one of that name."""
        ...

    def delete(self, name: str) -> None:
        """Delete a file; one that is not there is no error."""
        ...

    def workspace(self) -> Path:
        """Return the folder for files under way, whose names end in :data:`PARTIAL`."""
        ...

    def leftovers(self, before: datetime) -> list[str]:
        """Return the files under way that nobody has written to since ``before``."""
        ...


class FolderStore:
    """A folder that only its owner may enter.

    Parameters
    ----------
    folder
        Made, with mode 0700, when the first file comes. One that is there keeps its mode.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    @property
    def target(self) -> str:
        """The absolute path."""
        return str(self._folder)

    def names(self) -> dict[str, int]:
        """Return the finished files; hidden ones are not ours."""
        return {
            entry.name: entry.stat().st_size
            for entry in self._entries()
            if not entry.name.startswith(".") and not entry.name.endswith(PARTIAL)
        }

    def open(self, name: str) -> BinaryIO:
        """Open the file."""
        try:
            return (self._folder / name).open("rb")
        except FileNotFoundError:
            raise missing_file(name, self.target) from None
        except OSError as error:
            raise unreadable(self.target, _words(error)) from None

    def put(self, path: Path, name: str) -> None:
        """Flush it to the disk, rename it, and flush the folder that now names it."""
        try:
            _sync(path)
            path.replace(self._folder / name)
            _sync(self._folder)
        except OSError as error:
            raise unwritable(self.target, error) from None

    def write(self, name: str, content: bytes) -> None:
        """Write it under way, then :meth:`put` it."""
        # Two drills may note what they found in one entry at the same time.
        draft = self.workspace() / f"{name}.{secrets.token_hex(4)}{PARTIAL}"
        try:
            with create(draft) as file:
                file.write(content)
            self.put(draft, name)
        except OSError as error:
            raise unwritable(self.target, error) from None
        finally:
            draft.unlink(missing_ok=True)

    def delete(self, name: str) -> None:
        """Remove it from the folder."""
        try:
            (self._folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(self.target, error) from None

    def workspace(self) -> Path:
        """Return the folder itself: a rename is atomic within one file system only."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self.target, error) from None
        return self._folder

    def leftovers(self, before: datetime) -> list[str]:
        """Return what an interrupted dump left."""
        return sorted(
            entry.name
            for entry in self._entries()
            if entry.name.endswith(PARTIAL)
            and datetime.fromtimestamp(entry.stat().st_mtime, UTC) < before
        )

    def _entries(self) -> list[Path]:
        found = []
        try:
            for entry in self._folder.iterdir():
                # Between listing and looking, another process may have finished or deleted it.
                with suppress(FileNotFoundError):
                    if entry.is_file():
                        entry.stat()
                        found.append(entry)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise unreadable(self.target, _words(error)) from None
        return found


def open_store(target: str, scratch: str = "") -> Store:
    """Return the store at ``target``; nothing is written yet.

    Parameters
    ----------
    target
        A folder, or ``s3://bucket/prefix``.
    scratch
        Folder for files on their way to object storage; empty for the system's.

    Raises
    ------
    OperationError
        ``target_unknown``, or that the extra for object storage is not installed.
    """
    scheme, separator, _ = target.partition("://")
    if not separator:
        return FolderStore(Path(target))
    if scheme != "s3":
        raise OperationError(
            "target_unknown",
            f"{scheme}:// is no place for dumps",
            "set TEMPLATE_SERVICE_BACKUP_TARGET to a folder, or to s3://bucket/prefix",
        )
    from db.backup.object_store import ObjectStore  # noqa: PLC0415 - needs an optional extra

    return ObjectStore(target, scratch)


def create(path: Path) -> BinaryIO:
    """Open a new file that only this user may read; one that is there is replaced."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def unwritable(target: str, error: OSError) -> OperationError:
    """Return the error for a place that takes no more."""
    if error.errno in _FULL:
        return OperationError(
            "disk_full",
            f"{target} takes no more data: {_words(error)}",
            "free some space and start it again; the backups that were there are untouched",
        )
    return OperationError(
        "target_unwritable",
        f"{target} cannot be written to: {_words(error)}",
        "check TEMPLATE_SERVICE_BACKUP_TARGET and who may write there",
    )


def unreadable(target: str, told: str) -> OperationError:
    """Return the error for a place that cannot be looked at."""
    return OperationError(
        "target_unreadable",
        f"{target} cannot be read: {told}",
        "check TEMPLATE_SERVICE_BACKUP_TARGET and who may read there",
    )


def missing_file(name: str, target: str) -> OperationError:
    """Return the error for a file that the catalogue knows and the store does not."""
    return OperationError(
        "missing_file",
        f"{name} is not in {target}",
        "bring it back from a copy, or let template-service backup prune take its entry away "
        "when it expires",
    )


def _words(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
