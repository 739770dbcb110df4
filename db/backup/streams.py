"""What pg_dump prints on its way into a file of the store, and back.

Out: compressed, encrypted if there are recipients, counted and hashed as it is written. Back: the
same in reverse, and the checksum of the stored bytes decides. No more than a few MiB are held.
"""

import hashlib
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from gzip import BadGzipFile, GzipFile
from pathlib import Path
from typing import BinaryIO, Final, Protocol, cast

from db.backup.catalogue import Form, StoredFile, wrong_size
from db.backup.chunks import CHUNK, Chunks
from db.backup.encryption import SUFFIX, decrypted, encrypt, identities
from db.backup.policy import BackupPolicy
from db.backup.store import Store, create, unwritable
from db.errors import OperationError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Progress = Callable[[int], None]

ZSTD: Final = ".zst"
GZIP: Final = ".gz"
# zstd's own default, and gzip's.
_ZSTD_LEVEL: Final = 3
_GZIP_LEVEL: Final = 6
_GZIP_FORMAT: Final = 16 + zlib.MAX_WBITS  # zlib's way to ask for gzip's header
_MOST_THREADS: Final = 4
# What each thread is given at a time. zstd's own choice, 8 MiB, has it hold 60 MB instead of 20 for
# files that are 2 % smaller.
_ZSTD_JOB: Final = 2 * 1024 * 1024
_UNDECODABLE: Final = (zstd.ZstdError, EOFError, zlib.error, BadGzipFile)


@dataclass(frozen=True, slots=True)
class Written:
    """Size in bytes and checksum, in hexadecimal digits, of a file as it was written."""

    size: int
    sha256: str


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def suffix(form: Form, *, encrypted: bool) -> str:
    """Return how the name of a dump ends."""
    plain = ".dump.zst" if form == "custom" else ".sql.gz"
    return f"{plain}{SUFFIX}" if encrypted else plain


def write(
    plain: Iterator[bytes],
    path: Path,
    recipients: Sequence[object] = (),
    progress: Progress | None = None,
) -> Written:
    """Compress ``plain`` as the name of the new file ``path`` tells, encrypt it and write it.

    Parameters
    ----------
    plain
        What a program prints.
    path
        A name of :func:`suffix`, and ``.partial`` after it.
    recipients
        Keys of :func:`db.backup.encryption.recipients`; none for no encryption.
    progress
        Called with the bytes written so far.

    Raises
    ------
    OperationError
        ``disk_full``, ``target_unwritable``; the file is left to the caller.
    """
    names = path.suffixes
    compressed = _compressed(plain, _zstd() if ZSTD in names else _gzip())
    try:
        with create(path) as file:
            counted = _Counted(file, progress)
            if recipients:
                encrypt(Chunks(compressed), counted, recipients)
            else:
                for piece in compressed:
                    counted.write(piece)
            return Written(counted.size, counted.sha256)
    except OSError as error:
        raise unwritable(str(path.parent), error) from None


@contextmanager
def reader(store: Store, stored: StoredFile, policy: BackupPolicy) -> Iterator[BinaryIO]:
    """Yield what pg_dump or pg_dumpall printed, as a stream; at the end the checksum must agree.

    The block may stop early: what it left is read for the checksum all the same. When the block
    fails and the file turns out to be damaged, the damage is what is raised.

    Raises
    ------
    OperationError
        ``missing_file``, ``truncated``, ``checksum_mismatch``, ``not_decryptable``,
        ``archive_unreadable``, or a problem with the identities.
    """
    keys = _identities(stored, policy)
    with store.open(stored.name) as file:
        checked = _Checked(file)
        try:
            with ExitStack() as stack:
                compressed = cast("BinaryIO", checked)
                if keys:
                    compressed = stack.enter_context(decrypted(checked, keys, stored.name))
                yield _decompressed(compressed, stored.name)
        except Exception as error:
            checked.prove(stored)
            if isinstance(error, _UNDECODABLE):
                raise OperationError(
                    "archive_unreadable",
                    f"{stored.name} is as it was written, and still cannot be read: {error}",
                    "restore from another backup",
                ) from error
            raise
        checked.prove(stored)


def verify(store: Store, stored: StoredFile) -> None:
    """Read a stored file for its size and checksum alone, which takes no keys.

    Raises
    ------
    OperationError
        ``missing_file``, ``truncated``, ``checksum_mismatch``.
    """
    with store.open(stored.name) as file:
        _Checked(file).prove(stored)


class _Counted:
    """Writes to a file, and keeps the size and checksum of it."""

    def __init__(self, file: BinaryIO, progress: Progress | None) -> None:
        self._file = file
        self._progress = progress
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, data: bytes, /) -> int:
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)
        if self._progress is not None:
            self._progress(self.size)
        return len(data)

    def flush(self) -> None:
        self._file.flush()


class _Checked:
    """Reads a file, and knows in the end whether it is the one that was written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._size = 0

    def read(self, size: int = -1, /) -> bytes:
        piece = self._file.read(CHUNK if size < 0 else size)
        self._hash.update(piece)
        self._size += len(piece)
        return piece

    def prove(self, stored: StoredFile) -> None:
        while self.read():
            pass
        if self._size != stored.size:
            raise wrong_size(stored, self._size)
        if self._hash.hexdigest() != stored.sha256:
            raise OperationError(
                "checksum_mismatch",
                f"{stored.name} is not what was written: its SHA-256 is another",
                "restore from another backup; bring this file back from a copy if there is one",
            )


def _identities(stored: StoredFile, policy: BackupPolicy) -> list[object]:
    if not stored.name.endswith(SUFFIX):
        return []
    if not policy.identity_file:
        raise OperationError(
            "not_decryptable",
            f"{stored.name} is encrypted, and no identity to read it is given",
            "set TEMPLATE_SERVICE_BACKUP_IDENTITY_FILE",
        )
    return identities(policy.identity_file)


def _decompressed(file: BinaryIO, name: str) -> BinaryIO:
    if name.removesuffix(SUFFIX).endswith(ZSTD):
        return cast("BinaryIO", zstd.ZstdFile(file))
    return cast("BinaryIO", GzipFile(fileobj=file))


def _compressed(plain: Iterator[bytes], compressor: _Compressor) -> Iterator[bytes]:
    for piece in plain:
        if done := compressor.compress(piece):
            yield done
    yield compressor.flush()


def _zstd() -> _Compressor:
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    option = zstd.CompressionParameter
    return zstd.ZstdCompressor(
        options={
            option.compression_level: _ZSTD_LEVEL,
            option.checksum_flag: 1,
            option.nb_workers: min(cores, _MOST_THREADS),
            option.job_size: _ZSTD_JOB,
        }
    )


def _gzip() -> _Compressor:
    return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_FORMAT)
