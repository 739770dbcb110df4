"""Check a backup as far as that goes without restoring it."""

from dataclasses import dataclass

from db.backup.catalogue import Entry, StoredFile
from db.backup.chunks import pieces
from db.backup.policy import BackupPolicy
from db.backup.proofs import proof
from db.backup.store import Store
from db.backup.streams import reader, verify
from db.cluster.programs import Programs


@dataclass(frozen=True, slots=True)
class Checked:
    """What was looked at.

    Attributes
    ----------
    files, size
        How many, and their bytes.
    opened
        Whether they were decrypted and read to the end; false for an encrypted backup where no
        identity is given, of which size and checksum are all that can be known.
    """

    files: int
    size: int
    opened: bool


def check(store: Store, entry: Entry, policy: BackupPolicy, programs: Programs) -> Checked:
    """Read every file of a backup: its size and checksum, and what is in it.

    Raises
    ------
    OperationError
        ``missing_file``, ``truncated``, ``checksum_mismatch``, ``not_decryptable`` or
        ``archive_unreadable``.
    """
    opened = not entry.encrypted or bool(policy.identity_file)
    for file in entry.files:
        if opened:
            _read(store, entry, file, policy, programs)
        else:
            verify(store, file)
    return Checked(files=len(entry.files), size=entry.size, opened=opened)


def _read(
    store: Store, entry: Entry, file: StoredFile, policy: BackupPolicy, programs: Programs
) -> None:
    form = entry.form if file.part == "dump" else "plain"
    with reader(store, file, policy) as plain, proof(form, programs) as proved:
        for piece in pieces(plain):
            proved.write(piece)
        proved.finish()
