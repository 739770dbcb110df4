"""Whether what a program printed is a whole dump, told while it passes by."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from db.backup.catalogue import Form
from db.cluster.programs import Programs
from db.commands.dump import Listing
from db.errors import OperationError

_KEPT: Final = 4096
_LAST_LINES: Final = (
    b"-- PostgreSQL database dump complete",
    b"-- PostgreSQL database cluster dump complete",
)


class Proof(Protocol):
    """Looks at every piece of a dump."""

    def write(self, piece: bytes) -> None:
        """Look at the next piece."""
        ...

    def finish(self) -> None:
        """Decide.

        Raises
        ------
        OperationError
            ``archive_unreadable``.
        """
        ...


@contextmanager
def proof(form: Form, programs: Programs) -> Iterator[Proof]:
    """Yield what proves a dump of this form: ``pg_restore --list``, or the last line of SQL."""
    if form == "custom":
        with Listing(programs) as listing:
            yield listing
    else:
        yield _LastLine()


def observed(pieces: Iterator[bytes], by: Proof) -> Iterator[bytes]:
    """Yield the pieces, each shown to a proof, which decides at the end."""
    for piece in pieces:
        by.write(piece)
        yield piece
    by.finish()


class _LastLine:
    """pg_dump writes this comment when all went well; newer ones add a line after it."""

    def __init__(self) -> None:
        self._tail = b""

    def write(self, piece: bytes) -> None:
        self._tail = (self._tail + piece[-_KEPT:])[-_KEPT:]

    def finish(self) -> None:
        if not any(line in self._tail for line in _LAST_LINES):
            raise OperationError(
                "archive_unreadable",
                "the SQL of the dump does not end with the line that says it is complete",
                "use another backup",
            )
