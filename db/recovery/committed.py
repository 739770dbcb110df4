"""Committed transactions of a time range, to find the one to stop before."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from db.cluster.programs import Programs
from db.errors import OperationError
from db.recovery.plan import covered, open_archive
from db.recovery.policy import RecoveryPolicy
from db.recovery.segments import Archive
from db.recovery.transactions import ended, records

# System tables have lower numbers: FirstNormalObjectId of PostgreSQL's access/transam.h.
_FIRST_USER_OID: Final = 16_384
# The clocks of the server and of the archive's file system may differ by this much.
_CLOCK_SKEW: Final = timedelta(hours=1)
_DROPPED: Final = re.compile(r"; rels:((?: [\w./]+)+)", re.ASCII)
_RELATION: Final = re.compile(r"rel \d+/\d+/(\d+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class CommittedTransaction:
    """A transaction that committed.

    Attributes
    ----------
    transaction
        Its 32-bit ID.
    at
        Time of the commit, by the server's clock.
    deleted, updated, inserted
        Rows by table; a table that no longer exists is named by its filenode.
    dropped
        Files of tables and indexes that it removed: by ``DROP`` or ``TRUNCATE``.
    """

    transaction: int
    at: datetime
    dropped: int
    deleted: dict[str, int] = field(default_factory=dict)
    updated: dict[str, int] = field(default_factory=dict)
    inserted: dict[str, int] = field(default_factory=dict)


def committed_transactions(
    programs: Programs,
    policy: RecoveryPolicy,
    *,
    since: datetime,
    until: datetime,
    tables: Mapping[int, str],
) -> Iterator[CommittedTransaction]:
    """Yield the transactions that committed from ``since`` to ``until``, in order.

    Raises OperationError: ``no_base_backup``; ``wal_gap`` or ``wal_damaged``: the archive cannot be
    read to ``until``.

    Parameters
    ----------
    tables
        Names of tables by their filenode (``pg_relation_filenode``).
    """
    backups, archive = open_archive(policy)
    before = [backup for backup in backups if backup.ended_at <= since] or backups[:1]
    wal = covered(archive, before[-1])
    names = [
        name
        for name in wal.names
        if archive.path(name).stat().st_mtime >= (since - _CLOCK_SKEW).timestamp()
    ]
    for transaction in _committed(programs, archive, names, tables):
        if transaction.at > until:
            return
        if transaction.at >= since:
            yield transaction
    if wal.fault is not None:
        raise OperationError(
            wal.kind,
            f"{wal.fault} in {archive.folder}: later transactions cannot be read",
            "list a later time; template-service pitr status shows the recoverable time range",
        )


def _committed(
    programs: Programs, archive: Archive, names: Sequence[str], tables: Mapping[int, str]
) -> Iterator[CommittedTransaction]:
    changes: dict[int, dict[str, dict[str, int]]] = {}
    for record in records(programs, archive, names, ["Transaction", "Heap"]):
        if record.manager == "Heap":
            _count(changes.setdefault(record.transaction, {}), record.description, tables)
        elif (end := ended(record)) is not None:
            number, at, commits = end
            done = changes.pop(number, {})
            if commits:
                files = _DROPPED.search(record.description)
                yield CommittedTransaction(
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
        if number >= _FIRST_USER_OID:
            rows = done.setdefault(verb, {})
            name = tables.get(number, str(number))
            rows[name] = rows.get(name, 0) + 1
