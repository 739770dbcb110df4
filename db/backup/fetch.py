"""A dump on its way back: out of the store, checked, decrypted and decompressed, to a file."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from db.backup.catalogue import Entry, StoredFile
from db.backup.chunks import pieces
from db.backup.policy import BackupPolicy
from db.backup.proofs import observed, proof
from db.backup.store import Store, create, unwritable
from db.backup.streams import reader
from db.cluster.unprivileged import give
from db.commands.core import Client


def fetch(  # noqa: PLR0913, PLR0917 - what is fetched, from where, for whom, to where
    client: Client,
    store: Store,
    entry: Entry,
    stored: StoredFile,
    policy: BackupPolicy,
    folder: Path,
) -> Path:
    """Write what pg_dump printed to a file, and return that when its checksum agrees.

    A dump is code that a restore runs (CVE-2025-8714, CVE-2026-18408, CVE-2026-116314), so nothing
    is handed on before all of it is known to be what was written. That also gives a file that can
    be read at several places at once, which is what parallel jobs need.

    Parameters
    ----------
    client
        Its rights will own the file.
    store, entry, stored
        Which of the backup's files.
    policy
        Has the identity that decrypts it.
    folder
        Only this process and those rights may enter it. The file is named as the part is.

    Raises
    ------
    OperationError
        As of :func:`db.backup.streams.reader`; ``archive_unreadable``: SQL that lacks its end;
        ``disk_full``.
    """
    path = folder / stored.part
    try:
        file = create(path)
    except OSError as error:
        raise unwritable(str(folder), error) from None
    with file, reader(store, stored, policy) as plain:
        if stored.part == "roles" or entry.form == "plain":
            with proof("plain", client.programs) as proved:
                _copy(observed(pieces(plain), proved), file, folder)
        else:
            _copy(pieces(plain), file, folder)
    give(path, client.rights)
    return path


def _copy(source: Iterator[bytes], file: BinaryIO, folder: Path) -> None:
    for piece in source:
        try:
            file.write(piece)
            file.flush()
        except OSError as error:
            raise unwritable(str(folder), error) from None
