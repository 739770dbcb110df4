"""Ends of transactions and restore points in archived WAL."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Final

from db.cluster.programs import Programs
from db.commands.physical import WalRecord, wal_records
from db.errors import OperationError
from db.recovery.segments import Archive, parsed_lsn, segment_number

_END: Final = re.compile(
    r"(COMMIT|ABORT)(?:_PREPARED (\d+):)? (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}) UTC", re.ASCII
)
_RESTORE_POINT: Final = "RESTORE_POINT "


def records(
    programs: Programs,
    archive: Archive,
    names: Sequence[str],
    managers: Sequence[str],
    transaction: int | None = None,
) -> Iterator[WalRecord]:
    """Yield the records of consecutive segments, across timelines too."""
    for _, group in groupby(names, key=lambda name: name[:8]):
        part = list(group)
        yield from wal_records(
            programs,
            archive.folder,
            part[0],
            part[-1],
            managers=managers,
            transaction=transaction,
        )


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
    """Tell whether a transaction ended after an LSN and until a time, in any of these segments.

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
    """Tell whether these segments have a restore point of that name after an LSN."""
    return any(
        record.description == _RESTORE_POINT + wanted and parsed_lsn(record.lsn) >= after
        for record in records(programs, archive, names, ["XLOG"])
    )


def has_end(
    programs: Programs, archive: Archive, names: Sequence[str], transaction: int, after: int
) -> bool:
    """Tell whether a transaction committed or aborted in these segments after an LSN."""
    return any(
        ended(record) is not None and parsed_lsn(record.lsn) >= after
        for record in records(programs, archive, names, ["Transaction"], transaction)
    )


def has_record(programs: Programs, archive: Archive, names: Sequence[str], lsn: int) -> bool:
    """Tell whether these segments have a record that begins at an LSN or after it."""
    size = archive.segment_bytes
    names = [name for name in names if segment_number(name, size) >= lsn // size]
    return any(parsed_lsn(record.lsn) >= lsn for record in records(programs, archive, names, ()))


def ended(record: WalRecord) -> tuple[int, datetime, bool] | None:
    """Return the transaction that a record ends, the time, and whether it commits."""
    if record.manager != "Transaction" or (match := _END.match(record.description)) is None:
        return None
    number = int(match[2] or record.transaction)
    return number, datetime.fromisoformat(match[3]).replace(tzinfo=UTC), match[1] == "COMMIT"
