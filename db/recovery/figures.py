"""Row counts and checksums of the tables at a moment, which recovery drills compare with.

They are called figures, and are read in one snapshot. A moment of WAL with exactly the transactions
of that snapshot is found later, in the archive: nothing is locked and nothing is written to the
database. They are files next to the base backups, so that they survive the server
and are not part of what they prove.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Annotated, Final

from pydantic import StringConstraints, TypeAdapter, ValidationError
from sqlalchemy import Engine, text

from db.backup.catalogue import TableFacts
from db.backup.snapshot import SCHEMA, exported, table_facts
from db.bounds import Lsn, Moment
from db.cluster.processes import private_directory
from db.cluster.programs import Programs
from db.commands.core import Client
from db.recovery import server
from db.recovery.catalogue import BaseBackup
from db.recovery.object_path import AnyPath, listed, replace
from db.recovery.policy import RecoveryPolicy
from db.recovery.segments import Archive, parsed_lsn, segment_name
from db.recovery.transactions import ended, records

_SUFFIX: Final = ".json"
_EPOCH: Final = 1 << 32
_BEFORE: Final = text("SELECT pg_current_wal_insert_lsn()::text")
# The snapshot is older than the LSN: the first statement of the transaction has taken it.
_MOMENT: Final = """
SELECT pg_current_snapshot()::text, pg_current_wal_insert_lsn()::text, clock_timestamp(),
       ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer
"""
# Unlogged tables are empty after a recovery.
_TABLES: Final = """
SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind = 'r' AND c.relpersistence = 'p'
ORDER BY c.relname
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Row counts and checksums of the tables at a moment.

    Attributes
    ----------
    at
        The moment, by the server's clock.
    system, database
        System identifier of the cluster, and name of the database.
    timeline, before_lsn, after_lsn
        The snapshot was taken between these two LSNs of the timeline.
    snapshot
        As ``pg_current_snapshot()`` shows it: ``xmin:xmax:xip,…``.
    tables
        Facts of each table of schema ``public``.
    """

    at: Moment
    system: str
    database: str
    timeline: int
    before_lsn: Lsn
    after_lsn: Lsn
    snapshot: Annotated[str, StringConstraints(pattern=r"^\d+:\d+:[\d,]*$")]
    tables: dict[str, TableFacts]

    @property
    def running(self) -> list[int]:
        """IDs of the transactions that had begun and not ended."""
        listed = self.snapshot.split(":")[2]
        return [int(number) for number in listed.split(",") if number]

    def includes(self, transaction: int) -> bool:
        """Return whether the snapshot has what a transaction of about that time has written.

        Parameters
        ----------
        transaction
            Its 32-bit ID, as in WAL.
        """
        end = int(self.snapshot.split(":")[1])
        distance = (transaction - end + _EPOCH // 2) % _EPOCH - _EPOCH // 2
        return distance < 0 and end + distance not in self.running


_ADAPTER: Final = TypeAdapter(Figures)


def record(client: Client, engine: Engine, policy: RecoveryPolicy) -> Figures:
    """Read and store the row counts and checksums of this moment.

    Raises OperationError: ``is_standby``, ``archiving_off``, or one of
    :func:`db.backup.snapshot.exported`.
    """
    facts = server.server_facts(engine)
    server.require_archiving(facts)
    with engine.connect() as connection:
        before = str(connection.execute(_BEFORE).scalar_one())
    with exported(client) as snapshot:
        ((seen, after, at, timeline),) = snapshot.connection.execute(_MOMENT)
        names = [name for (name,) in snapshot.connection.execute(_TABLES, [SCHEMA])]
        figures = Figures(
            at=at.astimezone(UTC),
            system=facts.system,
            database=snapshot.database,
            timeline=timeline,
            before_lsn=before,
            after_lsn=after,
            snapshot=seen,
            tables={name: table_facts(snapshot.connection, name) for name in names},
        )
    folder = policy.storage.figures
    if isinstance(folder, Path):
        private_directory(folder)
    name = f"{figures.at:%Y%m%dT%H%M%S.%fZ}{_SUFFIX}"
    replace(folder / name, _ADAPTER.dump_json(figures, indent=2))
    return figures


def read(policy: RecoveryPolicy) -> list[Figures]:
    """Return all recorded figures, the oldest first; see also :func:`unreadable`."""
    found = (_read(path) for path in _files(policy))
    return sorted((each for each in found if each is not None), key=lambda each: each.at)


def unreadable(policy: RecoveryPolicy) -> list[str]:
    """Return the names of files that hold no figures."""
    return [path.name for path in _files(policy) if _read(path) is None]


def expire(policy: RecoveryPolicy, backups: Iterable[BaseBackup]) -> None:
    """Remove the figures that no base backup leads to any more."""
    oldest = min((backup.ended_at for backup in backups), default=None)
    for path in _files(policy):
        figures = _read(path)
        if figures is not None and oldest is not None and figures.at < oldest:
            path.unlink(missing_ok=True)


def recoverable(
    figures: Sequence[Figures], archive: Archive, backups: Sequence[BaseBackup]
) -> list[Figures]:
    """Return the figures whose moment is in the archive, after a base backup."""
    first = min((backup.stop for backup in backups), default=None)
    if first is None:
        return []
    size = archive.segment_bytes
    return [
        each
        for each in figures
        if each.system == archive.system
        and parsed_lsn(each.before_lsn) >= first
        and segment_name(each.timeline, parsed_lsn(each.after_lsn) // size, size)
        <= max((name for name in archive.sizes if name[:8] == f"{each.timeline:08X}"), default="")
    ]


def moment(programs: Programs, archive: Archive, figures: Figures) -> int | None:
    """Return the LSN before which WAL has exactly the transactions of the figures' snapshot.

    A transaction is in snapshots a little later than its end is in WAL, so that some moments of
    the server are none of its WAL: ``None``. Transactions that ended in WAL before
    ``before_lsn`` and are not in the snapshot are not found here, but in the recovered database.
    """
    size = archive.segment_bytes
    before, after = parsed_lsn(figures.before_lsn), parsed_lsn(figures.after_lsn)
    names = [
        name
        for number in range(before // size, after // size + 1)
        if (name := segment_name(figures.timeline, number, size)) in archive.sizes
    ]
    found: int | None = None
    for entry in records(programs, archive, names, ["Transaction"]):
        lsn, end = parsed_lsn(entry.lsn), ended(entry)
        if end is None or not end[2] or not before <= lsn < after:
            continue
        is_included = figures.includes(end[0])
        if found is None and not is_included:
            found = lsn
        elif found is not None and is_included:
            return None
    return after if found is None else found


def _files(policy: RecoveryPolicy) -> Iterator[AnyPath]:
    yield from (path for path in listed(policy.storage.figures) if path.suffix == _SUFFIX)


def _read(path: AnyPath) -> Figures | None:
    try:
        return _ADAPTER.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
