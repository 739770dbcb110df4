"""Verify the files of a backup, in the store and while they are fetched for a restore."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from db.backup.catalogue import Entry, Form, StoredFile, open_catalogue
from db.backup.policy import BackupPolicy
from db.backup.roles import ServerRoles
from db.backup.store import Store, read_chunks, unwritable
from db.backup.streams import reader, verify_checksum
from db.cluster.programs import Programs
from db.cluster.unnamed import UnnamedFile
from db.commands.core import Client
from db.commands.dump import Listing
from db.errors import Kind, OperationError

_TAIL_BYTES: Final = 4096
_LAST_LINE: Final = b"-- PostgreSQL database dump complete"


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
        if _LAST_LINE not in self._tail:
            raise OperationError(
                Kind.ARCHIVE_UNREADABLE,
                'the SQL of the dump does not end with "database dump complete"',
                "use another backup",
            )


class _Roles:
    """A check that the roles can be restored."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._content = bytearray()

    def write(self, chunk: bytes) -> None:
        self._content += chunk

    def finish(self) -> None:
        ServerRoles.parse(bytes(self._content), self._name)


Completeness = Listing | _LastLine | _Roles
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
            _completeness_of(entry, file, programs) as check,
        ):
            for _ in checked(read_chunks(plain), check):
                pass
    return Verified(files=len(entry.files), size=entry.size, opened=opened)


@contextmanager
def fetch(
    client: Client, entry: Entry, policy: BackupPolicy, directory: Path | None = None
) -> Iterator[UnnamedFile]:
    """Yield a local file with the plain contents of a dump, once its checksum is verified.

    A dump is code that a restore executes (CVE-2025-8714, CVE-2026-18408, CVE-2026-116314), so its
    checksum is verified before any of it is used. A local file can also be read at several
    positions at once, which parallel jobs need. It has no name, so that a killed process leaves no
    decrypted dump behind.

    Raises OperationError: as :func:`db.backup.streams.reader` does; ``archive_unreadable``: SQL
    that lacks its end; ``disk_full``.

    Parameters
    ----------
    client
        Its user will own the file.
    policy
        With the store, and the identity that decrypts the dump.
    directory
        With room for the file; by default the policy's temporary directory.
    """
    directory = directory or (Path(policy.scratch) if policy.scratch else None)
    place = str(directory or tempfile.gettempdir())
    try:
        file = UnnamedFile.in_directory(directory, client.rights)
    except OSError as error:
        raise unwritable(place, error) from None
    with file:
        with reader(open_catalogue(policy).store, entry.dump, policy) as plain:
            chunks = read_chunks(plain)
            if entry.form == "plain":
                chunks = checked(chunks, _LastLine())
            for chunk in chunks:
                try:
                    file.write(chunk)
                except OSError as error:
                    raise unwritable(place, error) from None
        yield file


def fetch_roles(entry: Entry, policy: BackupPolicy) -> ServerRoles:
    """Return the roles of a backup.

    Raises OperationError: as :func:`db.backup.streams.reader` does; ``missing_file``: it has no
    roles; ``archive_unreadable``.
    """
    if entry.roles is None:
        raise OperationError(
            Kind.MISSING_FILE,
            f"{entry.name} has no file with the roles that own its tables",
            "create another backup",
        )
    with reader(open_catalogue(policy).store, entry.roles, policy) as plain:
        content = b"".join(read_chunks(plain))
    return ServerRoles.parse(content, entry.roles.name)


@contextmanager
def completeness(form: Form, programs: Programs) -> Iterator[Completeness]:
    """Yield the check of a dump of this form: ``pg_restore --list``, or the last line of SQL."""
    if form == "custom":
        with Listing(programs) as listing:
            yield listing
    else:
        yield _LastLine()


@contextmanager
def _completeness_of(entry: Entry, file: StoredFile, programs: Programs) -> Iterator[Completeness]:
    if file.part == "roles":
        yield _Roles(file.name)
        return
    with completeness(entry.form, programs) as check:
        yield check


def checked(chunks: Iterator[bytes], check: Completeness) -> Iterator[bytes]:
    """Yield all chunks, feed them to a check, and finish it at the end."""
    for chunk in chunks:
        check.write(chunk)
        yield chunk
    check.finish()
