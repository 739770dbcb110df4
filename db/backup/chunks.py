"""Bytes that come in pieces, read as a file."""

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK: Final = 1024 * 1024


class Chunks(io.RawIOBase, BinaryIO):
    """A file that is read once, from its start to its end.

    Parameters
    ----------
    pieces
        Its bytes; an empty piece does not end it.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return true."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill a buffer, not always to its end; return how many bytes it got, 0 at the end."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        target = memoryview(buffer).cast("B")
        size = min(len(target), len(self._rest))
        target[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def pieces(file: BinaryIO, size: int = CHUNK) -> Iterator[bytes]:
    """Yield what is left of a file, at most ``size`` bytes at a time."""
    while piece := file.read(size):
        yield piece
