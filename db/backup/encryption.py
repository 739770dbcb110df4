"""Encryption of dumps, base backups and WAL with age keys, with the optional library pyrage.

https://age-encryption.org/v1: a file is encrypted to the public keys of one or more recipients, so
a machine that creates backups need not be able to read them.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, TypeVar, cast

from db.backup.store import read_chunks
from db.errors import Kind, OperationError

if TYPE_CHECKING:
    from types import ModuleType

K = TypeVar("K")
SUFFIX: Final = ".age"
_PEM: Final = "-----BEGIN "
_SET: Final = (
    "set TEMPLATE_SERVICE_BACKUP_IDENTITY_FILE for dumps, TEMPLATE_SERVICE_RECOVERY_IDENTITY_FILE "
    "for base backups and WAL,"
)


class Reader(Protocol):
    """A source of bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, none at the end."""


class Writer(Protocol):
    """A target of encrypted or decrypted bytes."""

    def write(self, data: bytes, /) -> int:
        """Write all data."""

    def flush(self) -> None:
        """Flush buffers."""


def recipients(path: str) -> list[object]:
    """Return the recipients in a file, one a line; ``#`` begins a comment.

    Raises OperationError: ``keys_unreadable``; ``extra_missing``: pyrage is not installed.
    """
    age = _pyrage()
    return _keys(
        path, [age.x25519.Recipient.from_str, age.ssh.Recipient.from_str], age.RecipientError
    )


def identities(path: str) -> list[object]:
    """Return the identities in a file: ``AGE-SECRET-KEY-1`` lines, or one SSH private key.

    Raises OperationError: see :func:`recipients`.
    """
    age = _pyrage()
    text = _text(path)
    if text.startswith(_PEM):
        try:
            return [age.ssh.Identity.from_buffer(text.encode())]
        except age.IdentityError:
            raise _bad(path, "age does not support its SSH key") from None
    return _keys(path, [age.x25519.Identity.from_str], age.IdentityError)


def identities_for(name: str, path: str) -> list[object]:
    """Return the identities for a stored file: none if its name shows that it is not encrypted.

    Raises OperationError: ``not_decryptable``: no file is configured; see :func:`recipients`.

    Parameters
    ----------
    name
        Name of the file.
    path
        File of identities.
    """
    if not name.endswith(SUFFIX):
        return []
    if not path:
        raise OperationError(
            Kind.NOT_DECRYPTABLE,
            f"{name} is encrypted, and no identity file is configured",
            _SET.rstrip(","),
        )
    return identities(path)


def encrypt(source: Reader, target: Writer, keys: Sequence[object]) -> None:
    """Encrypt ``source`` to ``target``, with one block of 64 KiB in memory."""
    with _own_errors(source, target) as both:
        _pyrage().encrypt_io(both, both, keys)


@contextmanager
def encrypting(target: Writer, keys: Sequence[object]) -> Iterator[BinaryIO]:
    """Yield a file whose contents a thread encrypts to ``target``."""
    source, sink = os.pipe()

    def work() -> None:
        with os.fdopen(source, "rb") as plain:
            encrypt(plain, target, keys)

    thread = _Thread("encrypt", work)
    try:
        with os.fdopen(sink, "wb") as plain:
            yield plain
    except BrokenPipeError:
        thread.join()
        if thread.failure is None:
            raise
    finally:
        thread.join()
    if thread.failure is not None:
        raise thread.failure


@contextmanager
def decrypted(file: Reader, keys: Sequence[object], name: str) -> Iterator[BinaryIO]:
    """Yield the plain contents of an encrypted file, which a thread decrypts into a pipe.

    Each block of 64 KiB is authenticated before any of it is returned. The unread rest is read at
    the end of the ``with`` block.

    Raises OperationError: ``not_decryptable``: the file is damaged, or none of the keys matches.

    Parameters
    ----------
    name
        Name of the file, for errors.
    """
    source, sink = os.pipe()

    def work() -> None:
        # Unbuffered: closing must not write to a pipe whose reader has ended.
        with os.fdopen(sink, "wb", buffering=0) as plain:
            _decrypt(file, cast("BinaryIO", plain), keys)

    thread = _Thread("decrypt", work)
    try:
        with os.fdopen(source, "rb") as plain:
            try:
                yield plain
            except Exception:
                _read_to_end(plain, thread, name)
                raise
            _read_to_end(plain, thread, name)
    finally:
        thread.join()


class _Thread(threading.Thread):
    """A thread that works at once, and keeps its error for the one that waits for it."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self.failure: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 - raised in the other thread
            self.failure = error


def _read_to_end(plain: BinaryIO, thread: _Thread, name: str) -> None:
    """Read the rest, so that the thread's pipe stays open; raise the thread's error."""
    for _ in read_chunks(plain):
        pass
    thread.join()
    if thread.failure is None:
        return
    if isinstance(thread.failure, OperationError):
        raise thread.failure
    raise OperationError(
        Kind.NOT_DECRYPTABLE,
        f"{name} cannot be decrypted: {thread.failure}",
        f"{_SET} to the identity of one of its recipients",
    ) from thread.failure


def _decrypt(source: Reader, target: Writer, keys: Sequence[object]) -> None:
    with _own_errors(source, target) as both:
        _pyrage().decrypt_io(both, both, keys)


class _SourceAndTarget:
    """A source and a target in one that keeps their error."""

    def __init__(self, source: Reader, target: Writer) -> None:
        self._source = source
        self._target = target
        self.failed: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        with self._kept():
            return self._source.read(size)

    def write(self, data: bytes) -> int:
        with self._kept():
            return self._target.write(data)

    def flush(self) -> None:
        with self._kept():
            self._target.flush()

    @contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.failed = error
            raise


@contextmanager
def _own_errors(source: Reader, target: Writer) -> Iterator[_SourceAndTarget]:
    """Raise the errors of files themselves, which the library replaces by its own."""
    both = _SourceAndTarget(source, target)
    try:
        yield both
    except Exception:
        if both.failed is not None:
            raise both.failed from None
        raise


def _pyrage() -> "ModuleType":
    try:
        import pyrage  # type: ignore[import-untyped]  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise OperationError(
            Kind.EXTRA_MISSING,
            "the library for encryption is not installed",
            "pip install 'template-service[encryption]'",
        ) from None
    module: ModuleType = pyrage
    return module


def _keys(path: str, kinds: Sequence[Callable[[str], K]], refusal: type[Exception]) -> list[K]:
    found = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        word = line.strip()
        if not word or word.startswith("#"):
            continue
        for kind in kinds:
            try:
                found.append(kind(word))
                break
            except refusal:
                continue
        else:
            # The line is not shown: it may be a secret in the wrong file.
            raise _bad(path, f"line {number} is not a key of the expected kind")
    if not found:
        raise _bad(path, "it contains no key")
    return found


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise _bad(path, reason or type(error).__name__) from None


def _bad(path: str, reason: str) -> OperationError:
    return OperationError(
        Kind.KEYS_UNREADABLE,
        f"the age key file {path} cannot be used: {reason}",
        "check RECIPIENTS_FILE and IDENTITY_FILE of TEMPLATE_SERVICE_BACKUP_ for dumps, of "
        "TEMPLATE_SERVICE_RECOVERY_ for base backups and WAL",
    )
