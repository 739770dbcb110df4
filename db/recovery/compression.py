"""Compressed WAL segments: of archive.sh where zstd is installed, and of the archive program.

An archive may have all kinds. A segment that exists twice is read uncompressed.
"""

import os
from pathlib import Path
from typing import Final

from db.errors import Kind, OperationError
from db.recovery.object_path import AnyPath, starting_with
from db.recovery.sealed import Sealed, checksum, opened
from db.zstd import zstd

SUFFIX: Final = ".zst"
# The most that the header of a frame takes: https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.1
_HEADER_BYTES: Final = 18
_BLOCK_HEADER_BYTES: Final = 3


def wal_file(name: str) -> str:
    """Return the name of the file of WAL that a file of the archive has."""
    sealed = Sealed.parse(name)
    return name.removesuffix(SUFFIX) if sealed is None else sealed.segment


def stored_files(wal: AnyPath, name: str) -> list[AnyPath]:
    """Return the stored files of a file of WAL: one, or none; or several, of which one is wrong."""
    return [path for path in starting_with(wal, name) if wal_file(path.name) == name]


def content_size(path: Path) -> int:
    """Return the uncompressed size of a segment; the file's size, if it is not one whole frame."""
    size = path.stat().st_size
    if path.suffix != SUFFIX:
        return size
    with path.open("rb", buffering=0) as file:
        header = os.pread(file.fileno(), _HEADER_BYTES, 0)
        try:
            promised = zstd.get_frame_info(header).decompressed_size
        except zstd.ZstdError:
            return size
        return promised if promised and _end(file.fileno(), header) == size else size


def _end(descriptor: int, header: bytes) -> int:
    """Return where a frame ends, from the headers of its blocks: one may be cut off.

    https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1
    """
    described = header[4]
    is_single = bool(described & 0x20)
    bytes_of_size = (int(is_single), 2, 4, 8)[described >> 6]
    place = 5 + int(not is_single) + (0, 1, 2, 4)[described & 3] + bytes_of_size
    while len(block := os.pread(descriptor, _BLOCK_HEADER_BYTES, place)) == _BLOCK_HEADER_BYTES:
        number = int.from_bytes(block, "little")
        # A block of one repeated byte stores it once.
        place += _BLOCK_HEADER_BYTES + (1 if number >> 1 & 3 == 1 else number >> 3)
        if number & 1:
            return place + (4 if described & 4 else 0)
    return -1


def beginning(path: Path, size: int) -> bytes:
    """Return the first bytes of a segment; empty if it cannot be read."""
    try:
        if path.suffix != SUFFIX:
            with path.open("rb") as file:
                return file.read(size)
        with zstd.open(path) as compressed:
            return compressed.read(size)
    except (OSError, EOFError, zstd.ZstdError):
        return b""


def content(path: AnyPath, size: int, identity_file: str = "") -> bytes:
    """Return the contents of a segment of ``size`` bytes.

    Raises OperationError: ``wal_damaged``: it cannot be decompressed, or has another checksum;
    ``not_decryptable``, or a problem of the identity file.
    Raises OSError: it cannot be read.
    """
    sealed = Sealed.parse(path.name)
    if sealed is None and path.suffix != SUFFIX:
        return path.read_bytes()
    try:
        with opened(path, identity_file) as compressed:
            # A damaged header may promise any size.
            found = compressed.read(size)
            is_whole = len(found) == size and not compressed.read(1)
        if is_whole and (sealed is None or checksum(found) == sealed.sha256):
            return found
        reason = f"it has not {size} bytes" if not is_whole else "checksum mismatch"
    except (EOFError, zstd.ZstdError) as error:
        reason = str(error)
    raise OperationError(
        Kind.WAL_DAMAGED,
        f"segment {path.name} cannot be decompressed: {reason}",
        "copy it back if you have a copy; else take a new base backup: "
        "template-service pitr base-backup --full",
    )
