"""Archive program: store a WAL file of the server, compressed and encrypted.

archive.sh runs it by itself on the server's machine, as the server's user and in the data
directory, and has checked the system identifier: ``python -I push.py [OPTIONS] WAL SOURCE NAME``.
It prints the name of the stored file, and ends with status 0 only when that is durable.

With several jobs it stores the next segments that wait as well, at the same time. For each that is
durable it writes an acknowledgment, ``.SEGMENT.ok`` with checksum and stored name, which archive.sh
compares with the segment when PostgreSQL asks for it.
"""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from db.backup.encryption import recipients
from db.errors import Kind, OperationError
from db.recovery.compression import content, stored_files
from db.recovery.object_path import AnyPath, create, location, sync_stored
from db.recovery.sealed import Sealed, checksum, seal

# Others are a few lines with timelines and LSNs: history files, and labels of base backups.
_SEGMENT: Final = re.compile(r"[0-9A-F]{24}(\.partial)?", re.ASCII)


# Segments that are stored ahead, for each job. A start of this program takes 0.2 s.
_QUEUE: Final = 2
# What PostgreSQL has asked for does not wait for the others longer than this.
_GRACE: Final = 30.0


@dataclass(frozen=True, slots=True)
class Archive:
    """Destination of archived files, and the recipients of their encryption.

    Attributes
    ----------
    wal
        The archive.
    keys
        Recipients; none for no encryption.
    """

    wal: AnyPath
    keys: Sequence[object]


def push(archive: Archive, source: Path, name: str) -> tuple[str, str]:
    """Store a file of WAL unless it is stored already; return its checksum and stored name.

    Raises OperationError: ``file_exists``: another file has its name, which is never replaced; or
    an error of the store.
    Raises OSError: the file cannot be read.
    """
    wal, plain = archive.wal, source.read_bytes()
    if not stored_files(wal, name):
        stored, contents = name, plain
        if _SEGMENT.fullmatch(name):
            stored, contents = seal(name, plain, archive.keys)
        create(wal / stored, contents)
    # Also after it was stored: another archiver may have stored a different one meanwhile.
    found = stored_files(wal, name)
    for path in found:
        if not _is_same(path, plain):
            raise OperationError(
                Kind.FILE_EXISTS,
                f"{path} exists with other content and is never replaced",
                "move it away if it is not of this cluster",
            )
    sync_stored(found[0])
    return checksum(plain), found[0].name


def push_ahead(archive: Archive, source: Path, name: str, jobs: int, spool: Path) -> str:
    """Store a file, and those that wait after it; return the stored name of the first.

    Raises OperationError or OSError: the first was not stored. Failures of the others are not
    reported: PostgreSQL asks for each later.

    Parameters
    ----------
    spool
        Directory for acknowledgments.
    """

    def acknowledged(segment: str) -> None:
        draft = spool / f".{segment}.ok.new"
        draft.write_text(f"{' '.join(push(archive, source.with_name(segment), segment))}\n")
        draft.replace(_acknowledgment(spool, segment))

    waiting = _waiting(source.parent, spool, name)[: jobs * _QUEUE - 1]
    threads = ThreadPoolExecutor(jobs)
    asked = threads.submit(push, archive, source, name)
    others = [threads.submit(acknowledged, segment) for segment in waiting]
    try:
        stored = asked.result()[1]
        wait(others, timeout=_GRACE)
        return stored
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _waiting(folder: Path, spool: Path, name: str) -> list[str]:
    """Return the complete segments after one that PostgreSQL will ask for, in order.

    Acknowledgments of those that it does not ask for any more are removed.
    """
    ready = {path.stem for path in (folder / "archive_status").glob("*.ready")}
    for path in spool.glob(".*.ok"):
        if path.name[1:].removesuffix(".ok") not in ready:
            path.unlink(missing_ok=True)
    return sorted(
        segment
        for segment in ready
        if _SEGMENT.fullmatch(segment)
        and segment > name
        and not _acknowledgment(spool, segment).exists()
    )


def _acknowledgment(spool: Path, segment: str) -> Path:
    return spool / f".{segment}.ok"


def _is_same(path: AnyPath, plain: bytes) -> bool:
    sealed = Sealed.parse(path.name)
    if sealed is not None:
        return sealed.sha256 == checksum(plain) and path.stat().st_size == sealed.size
    try:
        return content(path, len(plain)) == plain
    except OperationError:
        return False


def main(arguments: Sequence[str] | None = None) -> int:
    """Store one file; return the exit status, of which PostgreSQL takes up to 125 for a retry."""
    parser = argparse.ArgumentParser(prog="archive", description=__doc__)
    parser.add_argument("--recipients", default="", help="File of age recipients.")
    parser.add_argument("--credentials", default="", help="File of AWS_* variables.")
    parser.add_argument("--jobs", type=int, default=1, help="Segments at a time.")
    parser.add_argument("--spool", type=Path, help="Directory for acknowledgments.")
    parser.add_argument("wal", help="Archive: a directory, or s3://bucket/prefix/wal.")
    parser.add_argument("source", type=Path, help="File of the server.")
    parser.add_argument("name", help="Its name.")
    given = parser.parse_args(arguments)
    try:
        keys = recipients(given.recipients) if given.recipients else []
        archive = Archive(location(given.wal, given.credentials), keys)
        if given.jobs > 1 and _SEGMENT.fullmatch(given.name):
            stored = push_ahead(archive, given.source, given.name, given.jobs, given.spool)
        else:
            stored = push(archive, given.source, given.name)[1]
        sys.stdout.write(f"{stored}\n")
    except (OperationError, OSError, ValueError) as error:
        sys.stderr.write(f"{given.name} was not archived: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Without waiting for threads: what they have not stored yet, they will not acknowledge.
    os._exit(status)
