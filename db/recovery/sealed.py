"""WAL segments as the archive program stores them: compressed, and encrypted for recipients.

The name of such a file is ``SEGMENT-SHA256-SIZE.zst``, with ``.age`` if it is encrypted: the
checksum of the segment and the size of the file. So a machine that cannot decrypt it sees whether
the same segment is archived already, and whether the file is complete.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, Final, Self, cast

from db.backup.encryption import decrypted, encrypt, identities_for
from db.recovery.object_path import AnyPath
from db.zstd import zstd

_NAME: Final = re.compile(
    r"([0-9A-F]{24}(?:\.partial)?)-([0-9a-f]{64})-([0-9]+)\.zst(?:\.age)?", re.ASCII
)
_OPTIONS: Final[dict[int, int]] = {zstd.CompressionParameter.checksum_flag: 1}


@dataclass(frozen=True, slots=True)
class Sealed:
    """Name, checksum and size of a segment, from the name of its stored file.

    Attributes
    ----------
    segment
        Name of the segment.
    sha256
        Checksum of the segment.
    size
        Size of the stored file.
    """

    segment: str
    sha256: str
    size: int

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """Return what a name says; ``None`` if it is not of such a file."""
        match = _NAME.fullmatch(name)
        return None if match is None else cls(match[1], match[2], int(match[3]))


def seal(segment: str, content: bytes, recipients: Sequence[object]) -> tuple[str, bytes]:
    """Return name and contents of the stored file of a segment.

    Raises ValueError: the compressed segment differs from it.
    """
    stored = zstd.compress(content, options=_OPTIONS)
    if zstd.decompress(stored) != content:
        raise ValueError("compression has changed the segment")
    if recipients:
        encrypted = BytesIO()
        encrypt(BytesIO(stored), encrypted, recipients)
        stored = encrypted.getvalue()
    name = f"{segment}-{checksum(content)}-{len(stored)}.zst{'.age' if recipients else ''}"
    return name, stored


def checksum(content: bytes) -> str:
    """Return the checksum of a segment."""
    return hashlib.sha256(content).hexdigest()


@contextmanager
def opened(path: AnyPath, identity_file: str) -> Iterator[BinaryIO]:
    """Yield the decrypted and decompressed contents of a file.

    Raises OperationError: see :func:`db.backup.encryption.decrypted`, and a problem of identities.
    Raises EOFError or zstd.ZstdError: they cannot be decompressed.
    """
    keys = identities_for(path.name, identity_file)
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        plain = stack.enter_context(decrypted(file, keys, path.name)) if keys else file
        yield cast("BinaryIO", zstd.ZstdFile(plain))
