"""The files of a backup that is being made."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from db.backup.catalogue import StoredFile
from db.backup.store import PARTIAL, Store
from db.backup.streams import Progress, write
from db.errors import OperationError

if TYPE_CHECKING:
    from pathlib import Path


class NewFiles:
    """Files under way, then in place; gone again when the block does not end well.

    Parameters
    ----------
    store
        Where they will be.
    recipients
        For whom they are encrypted, if for anybody.
    """

    def __init__(self, store: Store, recipients: Sequence[object]) -> None:
        self._store = store
        self._recipients = recipients
        self._drafts: list[Path] = []
        self._placed: list[str] = []
        self.stored: list[StoredFile] = []

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Delete what is left under way, and after an error what is in place too."""
        for draft in self._drafts:
            draft.unlink(missing_ok=True)
        if error is not None:
            for name in self._placed:
                # The error at hand is the one to tell.
                with suppress(OperationError):
                    self._store.delete(name)

    def write(
        self,
        name: str,
        part: Literal["dump", "roles"],
        plain: Iterator[bytes],
        progress: Progress | None = None,
    ) -> None:
        """Write what a program prints to a file under way.

        Raises
        ------
        OperationError
            Of :func:`db.backup.streams.write`, or of whoever makes ``plain``.
        """
        draft = self._store.workspace() / f"{name}{PARTIAL}"
        self._drafts.append(draft)
        written = write(plain, draft, self._recipients, progress)
        self.stored.append(
            StoredFile(name=name, part=part, size=written.size, sha256=written.sha256)
        )

    def put(self) -> None:
        """Give all of them their names."""
        for draft, file in zip(self._drafts, self.stored, strict=True):
            self._placed.append(file.name)
            self._store.put(draft, file.name)
