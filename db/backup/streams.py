"""Stream the output of pg_dump into a file of the store, and back.

Writing compresses, encrypts if there are recipients, counts and hashes. Reading reverses that and
verifies the checksum of the stored bytes. No more than a few MiB are in memory.
"""

import hashlib
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from gzip import BadGzipFile, GzipFile
from pathlib import Path
from typing import BinaryIO, Final, Protocol, cast

from db.backup.catalogue import Form, StoredFile, wrong_size
from db.backup.encryption import SUFFIX, decrypted, encrypt, identities_for
from db.backup.policy import BackupPolicy
from db.backup.store import CHUNK, Chunks, Store, unwritable
from db.errors import Kind, OperationError
from db.zstd import zstd

Progress = Callable[[int], None]

ZSTD: Final = ".zst"
# The defaults of zstd and gzip.
_ZSTD_LEVEL: Final = 3
_GZIP_LEVEL: Final = 6
_GZIP_FORMAT: Final = 16 + zlib.MAX_WBITS  # zlib's way to ask for gzip's header
_MOST_THREADS: Final = 4
# Input of each thread at a time. With zstd's own choice, 8 MiB, files are 2 % smaller, but it needs
# 60 MB of memory instead of 20.
_ZSTD_JOB: Final = 2 * 1024 * 1024
_UNDECODABLE: Final = (zstd.ZstdError, EOFError, zlib.error, BadGzipFile)


@dataclass(frozen=True, slots=True)
class Written:
    """Size in bytes and SHA-256 checksum of a file as it was written."""

    size: int
    sha256: str


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def suffix(form: Form, *, encrypted: bool) -> str:
    """Return the suffix of a dump's file name."""
    plain = ".dump.zst" if form == "custom" else ".sql.gz"
    return f"{plain}{SUFFIX}" if encrypted else plain


def write(
    plain: Iterator[bytes],
    path: Path,
    recipients: Sequence[object] = (),
    progress: Progress | None = None,
) -> Written:
    """Compress ``plain``, encrypt it and write it to the empty file ``path``.

    Raises OperationError: ``disk_full``, ``target_unwritable``; the caller removes the file.

    Parameters
    ----------
    plain
        The output of a program.
    path
        A name with a :func:`suffix`, which decides on the compression, and ``.partial`` after it.
    recipients
        Keys of :func:`db.backup.encryption.recipients`; none for no encryption.
    progress
        Called with the bytes written so far.
    """
    names = path.suffixes
    compressed = _compressed(plain, _zstd() if ZSTD in names else _gzip())
    try:
        with path.open("wb") as file:
            counted = _HashingWriter(file, progress)
            if recipients:
                encrypt(Chunks(compressed), counted, recipients)
            else:
                for chunk in compressed:
                    counted.write(chunk)
            return Written(counted.size, counted.sha256)
    except OSError as error:
        raise unwritable(str(path.parent), error) from None


@contextmanager
def reader(store: Store, stored: StoredFile, policy: BackupPolicy) -> Iterator[BinaryIO]:
    """Yield the output of pg_dump or pg_dumpall as a stream, and verify the checksum at the end.

    A rest that the ``with`` block leaves unread is read for the checksum. If the block fails and
    the file is damaged, the error about the file is raised.

    Raises OperationError: ``missing_file``, ``truncated``, ``checksum_mismatch``,
    ``not_decryptable``, ``archive_unreadable``, or a problem with the identities.
    """
    keys = identities_for(stored.name, policy.identity_file)
    with store.open(stored.name) as file:
        checked = _HashingReader(file)
        try:
            with ExitStack() as stack:
                compressed = cast("BinaryIO", checked)
                if keys:
                    compressed = stack.enter_context(decrypted(checked, keys, stored.name))
                yield _decompressed(compressed, stored.name)
        except Exception as error:
            checked.verify(stored)
            if isinstance(error, _UNDECODABLE):
                raise OperationError(
                    Kind.ARCHIVE_UNREADABLE,
                    f"{stored.name} cannot be decompressed although its checksum matches: {error}",
                    "restore from another backup",
                ) from error
            raise
        checked.verify(stored)


def verify_checksum(store: Store, stored: StoredFile) -> None:
    """Verify size and checksum of a stored file, which needs no keys.

    Raises OperationError: ``missing_file``, ``truncated``, ``checksum_mismatch``.
    """
    with store.open(stored.name) as file:
        _HashingReader(file).verify(stored)


class _HashingWriter:
    """A writer that computes size and checksum."""

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


class _HashingReader:
    """A reader that verifies size and checksum at the end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._size = 0

    def read(self, size: int = -1, /) -> bytes:
        chunk = self._file.read(CHUNK if size < 0 else size)
        self._hash.update(chunk)
        self._size += len(chunk)
        return chunk

    def verify(self, stored: StoredFile) -> None:
        while self.read():
            pass
        if self._size != stored.size:
            raise wrong_size(stored, self._size)
        if (found := self._hash.hexdigest()) != stored.sha256:
            raise OperationError(
                Kind.CHECKSUM_MISMATCH,
                f"checksum mismatch in {stored.name}: expected SHA-256 {stored.sha256}, "
                f"found {found}",
                "restore from another backup; copy this file back if you have a copy",
            )


def _decompressed(file: BinaryIO, name: str) -> BinaryIO:
    if name.removesuffix(SUFFIX).endswith(ZSTD):
        return cast("BinaryIO", zstd.ZstdFile(file))
    return cast("BinaryIO", GzipFile(fileobj=file))


def _compressed(plain: Iterator[bytes], compressor: _Compressor) -> Iterator[bytes]:
    for chunk in plain:
        if compressed := compressor.compress(chunk):
            yield compressed
    yield compressor.flush()


def _zstd() -> _Compressor:
    cores = len(os.sched_getaffinity(0))
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
