"""Packed base backups: the data directory as one file, ``data.tar.zst``.

This service packs it after it was verified, since not every build of PostgreSQL knows zstd, and no
pg_verifybackup before version 18 reads tar files. Each use unpacks it, and does the same as with a
data directory. Next to the file is a copy of its manifest, for incremental base backups.
"""

import os
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path, PurePosixPath
from typing import Final

from db.backup.encryption import SUFFIX as AGE
from db.backup.encryption import encrypting
from db.cluster.owned import OwnedDirectory
from db.disk import sync
from db.errors import Kind, OperationError
from db.recovery.catalogue import DATA, MANIFEST, BaseBackup
from db.recovery.object_path import AnyPath
from db.recovery.policy import RecoveryPolicy
from db.recovery.sealed import opened
from db.zstd import zstd

PACKED: Final = "data.tar.zst"
# Of the dumps' compression: more threads would take the cores of the server.
_MOST_THREADS: Final = 4
_CHUNK: Final = 1 << 20


def packed_file(folder: AnyPath) -> AnyPath:
    """Return the packed or encrypted file of a base backup, which may not exist."""
    encrypted = folder / f"{PACKED}{AGE}"
    return encrypted if encrypted.exists() else folder / PACKED


def manifest_of(folder: AnyPath) -> AnyPath:
    """Return the manifest of the base backup in a directory."""
    return folder / MANIFEST if packed_file(folder).exists() else folder / DATA / MANIFEST


def pack(folder: Path, into: Path | None = None, recipients: Sequence[object] = ()) -> int:
    """Replace the data directory of a base backup by one file; return its size.

    Raises OperationError: ``disk_full``.

    Parameters
    ----------
    folder
        The directory with ``data``.
    into
        Where to write the file and a copy of the manifest; by default the same directory.
    recipients
        Keys of :func:`db.backup.encryption.recipients`; none for no encryption.
    """
    into = into or folder
    data, packed = folder / DATA, into / (f"{PACKED}{AGE}" if recipients else PACKED)
    option = zstd.CompressionParameter
    threads = min(len(os.sched_getaffinity(0)), _MOST_THREADS)
    options: dict[int, int] = {option.checksum_flag: 1, option.nb_workers: threads}
    try:
        packed.touch(0o600)
        with (
            packed.open("wb") as stored,
            encrypting(stored, recipients) if recipients else nullcontext(stored) as plain,
            zstd.open(plain, "wb", options=options) as file,
            tarfile.open(fileobj=file, mode="w|", bufsize=_CHUNK) as tar,
        ):
            for path in sorted(data.iterdir()):
                tar.add(path, path.name)
        sync(packed)
        shutil.copyfile(data / MANIFEST, into / MANIFEST)
        sync(into / MANIFEST)
    except OSError as error:
        raise _no_room(into, error) from None
    shutil.rmtree(data)
    return packed.stat().st_size


@contextmanager
def data_directories(
    policy: RecoveryPolicy, backups: Sequence[BaseBackup], scratch: Path | None = None
) -> Iterator[list[Path]]:
    """Yield the data directory of each base backup, for as long as the block needs it.

    Raises OperationError: ``backup_damaged``; ``disk_full``; a problem of the identity file.

    Parameters
    ----------
    policy
        With the directory of base backups, and the identity.
    scratch
        Where to unpack; by default the system's temporary directory.
    """
    with ExitStack() as stack:
        unpacked: Path | None = None
        folders = []
        for backup in backups:
            packed = packed_file(policy.storage.base / backup.name)
            data = policy.storage.base / backup.name / DATA
            folders.append(data if isinstance(data, Path) else Path(str(data)))
            if packed.exists():
                if unpacked is None:
                    unpacked = stack.enter_context(OwnedDirectory("restore", scratch)).path
                folders[-1] = unpacked / backup.name
                unpack(packed, folders[-1], policy.identity_file)
        yield folders


def unpack(packed: AnyPath, into: Path, identity_file: str = "") -> None:
    """Unpack a base backup into a new directory.

    Raises OperationError: ``backup_damaged``; ``disk_full``; ``not_decryptable``; a problem of the
    identity file.
    """
    into.mkdir(mode=0o700)
    try:
        with (
            opened(packed, identity_file) as file,
            tarfile.open(fileobj=file, mode="r|", bufsize=_CHUNK) as tar,
        ):
            for member in tar:
                _extract(tar, member, into)
            while file.read(_CHUNK):  # zstd's checksum is at the end
                pass
    except (EOFError, ValueError, tarfile.TarError, zstd.ZstdError) as error:
        raise OperationError(
            Kind.BACKUP_DAMAGED,
            f"{packed} is damaged: {error}",
            "use an older base backup (template-service pitr status), and take a new one: "
            "template-service pitr base-backup --full",
        ) from None
    except OSError as error:
        raise _no_room(into.parent, error) from None


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, into: Path) -> None:
    name = PurePosixPath(member.name)
    content = tar.extractfile(member) if member.isreg() else None
    if name.is_absolute() or ".." in name.parts or (content is None and not member.isdir()):
        raise ValueError(f"{member.name} is not a file of a data directory")
    path = into / name
    if content is None:
        path.mkdir(mode=member.mode)
        return
    with path.open("xb") as file:
        shutil.copyfileobj(content, file, _CHUNK)
    path.chmod(member.mode)


def _no_room(folder: Path, error: OSError) -> OperationError:
    reason = f"{folder} cannot be written to: {error.strerror}"
    return OperationError(
        Kind.DISK_FULL, reason, "free some space there; a base backup needs the database's size"
    )
