"""Verify the files of a backup, in the store and while they are fetched for a restore."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from db.backup.catalogue import Entry, Form, StoredFile, open_catalogue
from db.backup.policy import BackupPolicy
from db.backup.store import Store, create_file, read_chunks, unwritable
from db.backup.streams import reader, verify_checksum
from db.cluster.programs import Programs
from db.cluster.unprivileged import give
from db.commands.core import Client
from db.commands.dump import Listing
from db.errors import Kind, OperationError

_TAIL_BYTES: Final = 4096
_LAST_LINES: Final = (
    b"-- PostgreSQL database dump complete",
    b"-- PostgreSQL database cluster dump complete",
)


@dataclass(frozen=True, slots=True)
class Verified:
    """Result of :func:`verify`.

    Attributes
    ----------
    files, size
        Number of files, and their size in bytes.
    opened
        Whether they were decrypted and read to the end; false for an encrypted backup without a
        configured identity, of which only size and checksum can be verified.
    """

    files: int
    size: int
    opened: bool


class _LastLine:
    """A check for the comment that pg_dump writes last; newer versions add a line after it."""

    def __init__(self) -> None:
        self._tail = b""

    def write(self, chunk: bytes) -> None:
        self._tail = (self._tail + chunk[-_TAIL_BYTES:])[-_TAIL_BYTES:]

    def finish(self) -> None:
        if not any(line in self._tail for line in _LAST_LINES):
            raise OperationError(
                Kind.ARCHIVE_UNREADABLE,
                'the SQL of the dump does not end with "database dump complete"',
                "use another backup",
            )


Completeness = Listing | _LastLine
"""A check that is fed with all bytes of a dump; ``finish`` raises ``archive_unreadable``."""


def verify(store: Store, entry: Entry, policy: BackupPolicy, programs: Programs) -> Verified:
    """Read every file of a backup: its size, its checksum, and its contents if there is a key.

    Raises OperationError: ``missing_file``, ``truncated``, ``checksum_mismatch``,
    ``not_decryptable`` or ``archive_unreadable``.
    """
    opened = not entry.encrypted or bool(policy.identity_file)
    for file in entry.files:
        if not opened:
            verify_checksum(store, file)
            continue
        with (
            reader(store, file, policy) as plain,
            completeness(entry.form if file.part == "dump" else "plain", programs) as check,
        ):
            for _ in checked(read_chunks(plain), check):
                pass
    return Verified(files=len(entry.files), size=entry.size, opened=opened)


def fetch(
    client: Client, entry: Entry, stored: StoredFile, policy: BackupPolicy, folder: Path
) -> Path:
    """Write the plain contents of a stored file to a local one; return its path once verified.

    A dump is code that a restore executes (CVE-2025-8714, CVE-2026-18408, CVE-2026-116314), so its
    checksum is verified before any of it is used. A local file can also be read at several
    positions at once, which parallel jobs need.

    Raises OperationError: those of :func:`db.backup.streams.reader`; ``archive_unreadable``: SQL
    that lacks its end; ``disk_full``.

    Parameters
    ----------
    client
        Its rights will own the file.
    stored
        One of the files of ``entry``.
    policy
        With the store, and the identity that decrypts the file.
    folder
        Only this process and those rights may enter it. The file is named after the part.
    """
    path = folder / stored.part
    try:
        file = create_file(path)
    except OSError as error:
        raise unwritable(str(folder), error) from None
    with file, reader(open_catalogue(policy).store, stored, policy) as plain:
        chunks = read_chunks(plain)
        if stored.part == "roles" or entry.form == "plain":
            chunks = checked(chunks, _LastLine())
        for chunk in chunks:
            try:
                file.write(chunk)
                file.flush()
            except OSError as error:
                raise unwritable(str(folder), error) from None
    give(path, client.rights)
    return path


@contextmanager
def completeness(form: Form, programs: Programs) -> Iterator[Completeness]:
    """Yield the check of a dump of this form: ``pg_restore --list``, or the last line of SQL."""
    if form == "custom":
        with Listing(programs) as listing:
            yield listing
    else:
        yield _LastLine()


def checked(chunks: Iterator[bytes], check: Completeness) -> Iterator[bytes]:
    """Yield all chunks, feed them to a check, and finish it at the end."""
    for chunk in chunks:
        check.write(chunk)
        yield chunk
    check.finish()
