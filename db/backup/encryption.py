"""For whom dumps are encrypted, and who reads them: age keys, over the optional library pyrage.

https://age-encryption.org/v1: a file is encrypted to one or more recipients with public keys, so a
machine that makes backups need not be able to read them.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, TypeVar, cast

from db.backup.chunks import pieces
from db.errors import OperationError

if TYPE_CHECKING:
    from types import ModuleType

K = TypeVar("K")
SUFFIX: Final = ".age"
_PEM: Final = "-----BEGIN "


class Reader(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes, none at the end."""
        ...


class Writer(Protocol):
    """What encrypted or decrypted bytes are written to."""

    def write(self, data: bytes, /) -> int:
        """Take all of it."""
        ...

    def flush(self) -> None:
        """Hand on what was taken."""
        ...


def recipients(path: str) -> list[object]:
    """Return the recipients in a file, one a line; ``#`` begins a comment.

    Raises
    ------
    OperationError
        ``keys_unreadable``, or ``extra_missing``: pyrage is not installed.
    """
    age = _pyrage()
    return _keys(
        path, [age.x25519.Recipient.from_str, age.ssh.Recipient.from_str], age.RecipientError
    )


def identities(path: str) -> list[object]:
    """Return the identities in a file: ``AGE-SECRET-KEY-1`` lines, or one SSH private key.

    Raises
    ------
    OperationError
        As of :func:`recipients`.
    """
    age = _pyrage()
    text = _text(path)
    if text.startswith(_PEM):
        try:
            return [age.ssh.Identity.from_buffer(text.encode())]
        except age.IdentityError:
            raise _bad(path, "it is no SSH key that age can use") from None
    return _keys(path, [age.x25519.Identity.from_str], age.IdentityError)


def encrypt(source: Reader, target: Writer, keys: Sequence[object]) -> None:
    """Encrypt all of ``source`` to ``target``; no more than a block of 64 KiB is held."""
    with _watched(source, target) as both:
        _pyrage().encrypt_io(both, both, keys)


@contextmanager
def decrypted(file: Reader, keys: Sequence[object], name: str) -> Iterator[BinaryIO]:
    """Yield what is in an encrypted file; a thread decrypts it into a pipe.

    Each block of 64 KiB is proved genuine before any of it is seen. What the block leaves unread is
    read when it ends.

    Parameters
    ----------
    name
        Of the file, for errors.

    Raises
    ------
    OperationError
        ``not_decryptable``: the file is damaged, or none of the keys fits.
    """
    source, sink = os.pipe()
    failures: list[Exception] = []

    def work() -> None:
        # Unbuffered, so that closing has nothing left to say to a reader that went away.
        with os.fdopen(sink, "wb", buffering=0) as plain:
            try:
                _decrypt(file, cast("BinaryIO", plain), keys)
            except Exception as error:  # noqa: BLE001 - it is told below, in the other thread
                failures.append(error)

    thread = threading.Thread(target=work, name="decrypt", daemon=True)
    thread.start()
    try:
        with os.fdopen(source, "rb") as plain:
            try:
                yield plain
            except Exception:
                _settle(plain, thread, failures, name)
                raise
            _settle(plain, thread, failures, name)
    finally:
        thread.join()


def _settle(
    plain: BinaryIO, thread: threading.Thread, failures: list[Exception], name: str
) -> None:
    """Read what is left, so that the thread can only fail for a reason of its own; raise that."""
    for _ in pieces(plain):
        pass
    thread.join()
    for error in failures:
        if isinstance(error, OperationError):
            raise error
        raise OperationError(
            "not_decryptable",
            f"{name} cannot be decrypted: {error}",
            "set TEMPLATE_SERVICE_BACKUP_IDENTITY_FILE to the identity of one of its recipients",
        ) from error


def _decrypt(source: Reader, target: Writer, keys: Sequence[object]) -> None:
    with _watched(source, target) as both:
        _pyrage().decrypt_io(both, both, keys)


class _Watched:
    """A source and a target in one, whose first error is kept."""

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
def _watched(source: Reader, target: Writer) -> Iterator[_Watched]:
    """Have the errors of files come out as they are; the library makes its own of them."""
    both = _Watched(source, target)
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
            "extra_missing",
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
            # The line itself may be a secret that was put into the wrong file.
            raise _bad(path, f"line {number} is no key of the kind that is expected there")
    if not found:
        raise _bad(path, "it has no key")
    return found


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is no text"
        raise _bad(path, told or type(error).__name__) from None


def _bad(path: str, told: str) -> OperationError:
    return OperationError(
        "keys_unreadable",
        f"the file of age keys {path} cannot be used: {told}",
        "check TEMPLATE_SERVICE_BACKUP_RECIPIENTS_FILE and TEMPLATE_SERVICE_BACKUP_IDENTITY_FILE",
    )
