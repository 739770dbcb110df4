"""Files without a name, for other programs to read: a killed process leaves none of them behind."""

import os
import tempfile
from pathlib import Path
from typing import BinaryIO, Self

from db.cluster.children import Rights
from db.cluster.unprivileged import give


class UnnamedFile:
    """A file that exists as long as a process has it open: proc(5), ``/proc/self/fd``.

    A program that inherits :attr:`descriptor` opens it by :attr:`path`, at any position and as
    often as it wants.

    Parameters
    ----------
    descriptor
        Descriptor of a file without a name; this object closes it.
    directory
        On whose disk it is.
    rights
        The user who may open it, besides root.
    """

    def __init__(self, descriptor: int, rights: Rights, directory: Path | None = None) -> None:
        self.descriptor = descriptor
        self._rights = rights
        self._directory = directory
        try:
            os.fchmod(descriptor, 0o600)
            give(descriptor, rights)
        except BaseException:
            os.close(descriptor)
            raise

    @classmethod
    def in_memory(cls, rights: Rights) -> Self:
        """Return a file that is never on a disk; for secrets, and for small files."""
        return cls(os.memfd_create("template-service"), rights)

    @classmethod
    def in_directory(cls, directory: Path | None, rights: Rights) -> Self:
        """Return a file on the disk of ``directory``, by default the system's temporary one.

        Raises OSError: the directory is missing, full or not writable.
        """
        with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
            return cls(os.dup(file.fileno()), rights, directory)

    def sibling(self) -> Self:
        """Return a new file on the same disk, for the same user."""
        return self.in_directory(self._directory, self._rights)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file; it is deleted when the programs that inherited it have ended."""
        os.close(self.descriptor)

    @property
    def path(self) -> Path:
        """The file's path, in this process and in processes that inherit the descriptor."""
        return Path(f"/proc/self/fd/{self.descriptor}")

    @property
    def size(self) -> int:
        """The file's size in bytes."""
        return os.fstat(self.descriptor).st_size

    def write(self, content: bytes) -> None:
        """Append bytes.

        Raises OSError: the disk is full.
        """
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(self.descriptor, rest) :]

    def open(self) -> BinaryIO:
        """Open the file for reading, from its start."""
        return self.path.open("rb")
