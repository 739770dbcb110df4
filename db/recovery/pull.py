"""Restore program: write a file of the archive where a recovering server wants it.

``restore_command`` runs it by itself, with the names of files that may be empty:
``python -I pull.py IDENTITY_FILE CREDENTIALS_FILE WAL NAME TARGET``. It ends with status 1 if the
archive does not have the file, without a message: a standby asks for the next segment every five
seconds.
"""

import hashlib
import sys
from pathlib import Path

from db.backup.store import read_chunks
from db.errors import OperationError
from db.recovery.compression import stored_files
from db.recovery.object_path import AnyPath, location
from db.recovery.sealed import Sealed, opened
from db.zstd import zstd


def pull(wal: AnyPath, name: str, target: Path, identity_file: str) -> bool:
    """Write the contents of a file of WAL; return whether the archive has it.

    Raises OperationError: it cannot be decrypted.
    Raises OSError, EOFError, ValueError or zstd.ZstdError: it cannot be read, or is damaged.
    """
    found = stored_files(wal, name)
    if not found:
        return False
    sealed, checksum = Sealed.parse(found[0].name), hashlib.sha256()
    if found[0].name == name:
        target.write_bytes(found[0].read_bytes())
        return True
    with opened(found[0], identity_file) as plain, target.open("wb") as file:
        for chunk in read_chunks(plain):
            checksum.update(chunk)
            file.write(chunk)
    if sealed is not None and checksum.hexdigest() != sealed.sha256:
        target.unlink()
        raise ValueError("checksum mismatch")
    return True


def main(identity_file: str, credentials_file: str, wal: str, name: str, target: str) -> int:
    """Restore one file; return the exit status, of which PostgreSQL takes up to 125 for a no."""
    try:
        archive = location(wal, credentials_file)
        return 0 if pull(archive, name, Path(target), identity_file) else 1
    except (OperationError, OSError, EOFError, ValueError, zstd.ZstdError) as error:
        sys.stderr.write(f"{name} was not restored: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
