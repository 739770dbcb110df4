"""Ends of transactions and restore points in archived WAL."""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Final

from db.cluster.owned import OwnedDirectory
from db.cluster.programs import Programs
from db.commands.physical import WalRecord, wal_records
from db.errors import Kind, OperationError
from db.recovery.segments import NAME, Archive, parsed_lsn, segment_number

_END: Final = re.compile(
    r"(COMMIT|ABORT)(?:_PREPARED (\d+):)? (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}) UTC", re.ASCII
)
# Segments that are decompressed at a time: 256 MiB of the usual size.
_WINDOW: Final = 16
_RESTORE_POINT: Final = "RESTORE_POINT "


def records(
    programs: Programs,
    archive: Archive,
    names: Sequence[str],
    managers: Sequence[str],
    transaction: int | None = None,
) -> Iterator[WalRecord]:
    """Yield the records of consecutive segments, across timelines too.

    Raises OperationError: ``wal_damaged``; ``disk_full``: there is no room for decompressed WAL.
    """
    for _, group in groupby(names, key=lambda name: name[:8]):
        part = list(group)

        def of(folder: Path, window: Sequence[str]) -> Iterator[WalRecord]:
            first, last = window[0], window[-1]
            return wal_records(
                programs, folder, first, last, managers=managers, transaction=transaction
            )

        if archive.packed.keys().isdisjoint(part):
            # All are files then.
            yield from of(Path(str(archive.folder)), part)
        else:
            yield from _decompressed(archive, part, of)


def _decompressed(
    archive: Archive, names: Sequence[str], of: Callable[[Path, Sequence[str]], Iterator[WalRecord]]
) -> Iterator[WalRecord]:
    """Yield the records of consecutive segments, of which some are compressed.

    pg_waldump reads files only. A few are decompressed at a time, and the last of them again with
    the next, where its last record may end.
    """
    done = -1
    with OwnedDirectory("restore") as scratch:
        for start in range(0, max(len(names) - 1, 1), _WINDOW - 1):
            window = names[start : start + _WINDOW]
            _provide(archive, window, scratch.path)
            try:
                for record in of(scratch.path, window):
                    if parsed_lsn(record.lsn) > done:
                        done = parsed_lsn(record.lsn)
                        yield record
            except OperationError as error:
                message = error.message.replace(str(scratch.path), str(archive.folder))
                raise OperationError(error.kind, message, error.remedy) from None


def _provide(archive: Archive, names: Sequence[str], folder: Path) -> None:
    """Have a folder provide exactly these segments, uncompressed."""
    for path in folder.iterdir():
        if NAME.fullmatch(path.name) and path.name not in names:
            path.unlink()
    for name in names:
        path = folder / name
        if name not in archive.packed:
            path.unlink(missing_ok=True)
            path.symlink_to(str(archive.folder / name))
        elif not path.exists():
            try:
                content = archive.content(name)
            except OSError as error:
                message = f"segment {name} cannot be read: {error.strerror}"
                raise OperationError(
                    Kind.WAL_DAMAGED, message, "run: template-service pitr verify"
                ) from None
            try:
                path.write_bytes(content)
            except OSError as error:
                raise OperationError(
                    Kind.DISK_FULL,
                    f"segment {name} cannot be decompressed in {folder.parent}: {error.strerror}",
                    f"free {_WINDOW * archive.segment_bytes >> 20} MiB there, or set TMPDIR",
                ) from None


def last_end(
    programs: Programs, archive: Archive, names: Sequence[str]
) -> tuple[datetime | None, str | None]:
    """Return the end of the last transaction in these segments, and the first read error.

    Segments are read from the last one backwards, up to one that has a transaction's end.
    """
    fault = None
    for name in reversed(names):
        last = None
        try:
            for record in records(programs, archive, [name], ["Transaction"]):
                if (end := ended(record)) is not None:
                    last = end[1]
        except OperationError as error:
            fault = error.message
        if last is not None:
            return last, fault
    return None, fault


def ends_until(
    programs: Programs, archive: Archive, names: Sequence[str], time: datetime, after: int
) -> bool:
    """Return whether a transaction ended after an LSN and until a time, in any of these segments.

    Each is read by itself, since some in between may be missing or damaged.
    """
    for name in names:
        try:
            for record in records(programs, archive, [name], ["Transaction"]):
                found = ended(record)
                if found is not None and found[1] <= time and parsed_lsn(record.lsn) >= after:
                    return True
        except OperationError:
            continue
    return False


def has_restore_point(
    programs: Programs, archive: Archive, names: Sequence[str], wanted: str, after: int
) -> bool:
    """Return whether these segments have a restore point of that name after an LSN."""
    return any(
        record.description == _RESTORE_POINT + wanted and parsed_lsn(record.lsn) >= after
        for record in records(programs, archive, names, ["XLOG"])
    )


def has_end(
    programs: Programs, archive: Archive, names: Sequence[str], transaction: int, after: int
) -> bool:
    """Return whether a transaction committed or aborted in these segments after an LSN."""
    return any(
        ended(record) is not None and parsed_lsn(record.lsn) >= after
        for record in records(programs, archive, names, ["Transaction"], transaction)
    )


def has_record(programs: Programs, archive: Archive, names: Sequence[str], lsn: int) -> bool:
    """Return whether these segments have a record that begins at an LSN or after it."""
    size = archive.segment_bytes
    names = [name for name in names if segment_number(name, size) >= lsn // size]
    return any(parsed_lsn(record.lsn) >= lsn for record in records(programs, archive, names, ()))


def ended(record: WalRecord) -> tuple[int, datetime, bool] | None:
    """Return the transaction that a record ends, the time, and whether it commits."""
    if record.manager != "Transaction" or (match := _END.match(record.description)) is None:
        return None
    number = int(match[2] or record.transaction)
    return number, datetime.fromisoformat(match[3]).replace(tzinfo=UTC), match[1] == "COMMIT"
