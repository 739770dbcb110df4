"""What was committed in a time, so that an operator finds the transaction to stop before."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from db.cluster.programs import Programs
from db.errors import OperationError
from db.recovery import catalogue
from db.recovery.choice import covered, nothing_there
from db.recovery.policy import RecoveryPolicy
from db.recovery.segments import Archive
from db.recovery.transactions import ended, records

# Below it are the system's own tables: FirstNormalObjectId of PostgreSQL's access/transam.h.
_FIRST_OWN: Final = 16_384
# A segment that was archived so long before a time holds nothing of it, whatever the two clocks.
_CLOCKS: Final = timedelta(hours=1)
_DROPPED: Final = re.compile(r"; rels:((?: [\w./]+)+)", re.ASCII)
_RELATION: Final = re.compile(r"rel \d+/\d+/(\d+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Ended:
    """A transaction that committed.

    Attributes
    ----------
    transaction
        Its 32-bit number.
    at
        When, by the server's clock.
    deleted, updated, inserted
        Rows, by table; a table that is gone by now has its file's number for a name.
    dropped
        How many files of tables and indexes went with it: by ``DROP`` or ``TRUNCATE``.
    """

    transaction: int
    at: datetime
    dropped: int
    deleted: dict[str, int] = field(default_factory=dict)
    updated: dict[str, int] = field(default_factory=dict)
    inserted: dict[str, int] = field(default_factory=dict)


def in_time(
    programs: Programs,
    policy: RecoveryPolicy,
    *,
    since: datetime,
    until: datetime,
    tables: Mapping[int, str],
) -> Iterator[Ended]:
    """Yield the transactions that committed in that time, in that order.

    Parameters
    ----------
    since, until
        Both included.
    tables
        Names of tables by the number of their file (``pg_relation_filenode``).

    Raises
    ------
    OperationError
        ``no_base_backup``; ``wal_gap`` or ``wal_damaged``: the archive cannot be read to ``until``.
    """
    backups = catalogue.read(policy.base)
    if not backups or not policy.wal.is_dir():
        raise nothing_there(policy)
    archive = Archive.read(policy.wal, backups[-1].segment_bytes)
    before = [backup for backup in backups if backup.ended_at <= since] or backups[:1]
    found = covered(archive, before[-1])
    names = [
        name
        for name in found.names
        if (archive.folder / name).stat().st_mtime >= (since - _CLOCKS).timestamp()
    ]
    for each in _committed(programs, archive, names, tables):
        if each.at > until:
            return
        if each.at >= since:
            yield each
    if found.fault is not None:
        raise OperationError(
            found.kind,
            f"{found.fault} in {archive.folder}: what was committed after it is not known",
            "list a later time; template-service pitr status says what can be reached",
        )


def _committed(
    programs: Programs, archive: Archive, names: Sequence[str], tables: Mapping[int, str]
) -> Iterator[Ended]:
    work: dict[int, dict[str, dict[str, int]]] = {}
    for record in records(programs, archive, names, ["Transaction", "Heap"]):
        if record.manager == "Heap":
            _count(work.setdefault(record.transaction, {}), record.description, tables)
        elif (end := ended(record)) is not None:
            number, at, commits = end
            done = work.pop(number, {})
            if commits:
                files = _DROPPED.search(record.description)
                yield Ended(
                    transaction=number,
                    at=at,
                    dropped=len(files[1].split()) if files is not None else 0,
                    deleted=done.get("DELETE", {}),
                    updated=done.get("UPDATE", {}),
                    inserted=done.get("INSERT", {}),
                )


def _count(done: dict[str, dict[str, int]], description: str, tables: Mapping[int, str]) -> None:
    verb = description.partition(" ")[0].removeprefix("HOT_").removesuffix("+INIT")
    relation = _RELATION.search(description)
    if verb in {"DELETE", "UPDATE", "INSERT"} and relation is not None:
        number = int(relation[1])
        if number >= _FIRST_OWN:
            rows = done.setdefault(verb, {})
            name = tables.get(number, str(number))
            rows[name] = rows.get(name, 0) + 1
