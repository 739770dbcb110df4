"""Status of point-in-time recovery: archiving, recoverable time range, problems."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Engine, text

from db.backup.encryption import SUFFIX as AGE
from db.cluster.programs import Programs
from db.errors import OperationError
from db.recovery import catalogue, server
from db.recovery.catalogue import BaseBackup
from db.recovery.plan import covered
from db.recovery.policy import RecoveryPolicy
from db.recovery.segments import NAME, Archive
from db.recovery.setup import command, is_current
from db.recovery.transactions import last_end

_WAITING: Final = text("""
SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'
""")


@dataclass(frozen=True, slots=True)
class Archiving:
    """The server's archiver.

    Attributes
    ----------
    mode
        ``archive_mode``.
    ours
        Whether its command comes from ``pitr setup`` for the configured directory.
    age_seconds
        Seconds since the last segment was archived.
    waiting
        Segments to be archived; ``None`` when the role may not see them.
    """

    mode: str
    ours: bool
    last_archived: str | None
    last_archived_at: datetime | None
    age_seconds: float | None
    last_failed: str | None
    last_failed_at: datetime | None
    fails: bool
    waiting: int | None

    @property
    def last_ours(self) -> str | None:
        """Name of the last file that was archived, if the archive is the configured directory."""
        return self.last_archived if self.ours else None


@dataclass(frozen=True, slots=True)
class Reach:
    """A base backup and its recoverable time range.

    Attributes
    ----------
    earliest, latest
        Both ``None`` when nothing can be restored from it; ``latest`` equals ``earliest`` when no
        transaction ended after it.
    fault
        A problem that ends the range before the end of the archive, or makes the backup unusable.
    """

    backup: BaseBackup
    earliest: datetime | None
    latest: datetime | None
    fault: str | None


@dataclass(frozen=True, slots=True)
class RecoveryStatus:
    """Status of the archive and of the base backups.

    Attributes
    ----------
    archiving
        ``None`` when the server was not asked.
    missing
        The archive directory if it does not exist.
    lost
        A sentence, if the last segment that the server has archived is not there any more.
    foreign
        A sentence for each segment of another cluster, which is ignored.
    segments, wal_bytes
        Number of segments in the archive, and the size of their files in bytes.
    timeline, timelines
        The newest one in the archive, and all that have segments.
    reaches
        Recoverable range of each base backup, the oldest first.
    strangers
        Directories among the base backups without a readable entry.
    interrupted
        Directories that killed base backups left behind.
    earliest, latest
        The first and the last recoverable time; see :attr:`ranges` for those in between.
    """

    archiving: Archiving | None
    missing: str | None
    lost: str | None
    foreign: list[str]
    segments: int
    wal_bytes: int
    timeline: int
    timelines: list[int]
    reaches: list[Reach]
    strangers: list[str]
    interrupted: list[str]
    earliest: datetime | None
    latest: datetime | None

    @property
    def ranges(self) -> list[tuple[datetime, datetime]]:
        """The recoverable time ranges, in order; a gap in the archive is between two of them."""
        merged: list[tuple[datetime, datetime]] = []
        for reach in sorted(self.reaches, key=lambda reach: reach.backup.ended_at):
            if reach.earliest is None or reach.latest is None:
                continue
            if merged and reach.earliest <= merged[-1][1]:
                start, end = merged.pop()
                merged.append((start, max(end, reach.latest)))
            else:
                merged.append((reach.earliest, reach.latest))
        return merged

    @property
    def problems(self) -> list[str]:
        """A sentence for each problem."""
        sentences = [f"{name} has no readable {catalogue.ENTRY}" for name in self.strangers]
        sentences += [
            f"{name} was left behind by an interrupted base backup; the next one removes it: "
            "template-service pitr base-backup"
            for name in self.interrupted
        ]
        if self.missing is not None:
            sentences.append(f"the archive directory {self.missing} does not exist")
        sentences += [] if self.lost is None else [self.lost]
        sentences += [f"{sentence}; it is ignored: move it away" for sentence in self.foreign]
        sentences += [
            f"base backup {reach.backup.name}: {reach.fault}"
            for reach in self.reaches
            if reach.fault is not None
        ]
        if not self.reaches:
            sentences.append("no base backup: template-service pitr base-backup")
        if self.archiving is not None:
            if self.archiving.mode == "off" or not self.archiving.ours:
                sentences.append(
                    "the server does not archive to this directory as configured: "
                    "template-service pitr setup"
                )
            if self.archiving.fails:
                sentences.append(
                    f"{self.archiving.last_failed} was not archived: see the server's log"
                )
        return sentences


def recovery_status(
    engine: Engine | None, programs: Programs, policy: RecoveryPolicy
) -> RecoveryStatus:
    """Return the status; without ``engine`` the server is not asked."""
    backups = catalogue.read(policy.storage.base)
    archiving = None if engine is None else archiving_of(engine, policy)
    archive = _archive(engine, policy, backups)
    reaches = [_reach(programs, archive, backups, backup) for backup in backups]
    earliest = min((reach.earliest for reach in reaches if reach.earliest), default=None)
    latest = max((reach.latest for reach in reaches if reach.latest), default=None)
    return RecoveryStatus(
        archiving,
        None if policy.storage.wal.is_dir() else str(policy.storage.wal),
        None if archiving is None else _lost(archive, archiving.last_ours),
        sorted(archive.strangers.values()),
        len(archive.sizes),
        archive.stored_bytes,
        archive.newest_timeline,
        archive.timelines,
        reaches,
        catalogue.unreadable(policy.storage.base),
        catalogue.interrupted(policy.storage.base, datetime.now(UTC)),
        earliest,
        latest,
    )


def archive_problems(policy: RecoveryPolicy, last_archived: str | None = None) -> list[str]:
    """Return a sentence for each problem of the archive that names, sizes and headers show.

    No program reads the WAL, which takes long. Without base backups there is nothing to recover.

    Parameters
    ----------
    last_archived
        :attr:`Archiving.last_ours`, if the server was asked.
    """
    backups = catalogue.read(policy.storage.base)
    if not backups:
        return []
    if not policy.storage.wal.is_dir():
        return [f"the archive directory {policy.storage.wal} does not exist"]
    archive = _archive(None, policy, backups)
    faults = {
        found.fault: backup.name
        for backup in backups
        if (found := covered(archive, backup)).fault is not None
    }
    lost = _lost(archive, last_archived)
    newest = max(archive.sizes, default="")
    is_plain = policy.recipients_file and newest and archive.path(newest).suffix != AGE
    return [
        *([f"segment {newest} is not encrypted: template-service pitr setup"] if is_plain else []),
        *(f"{fault}, after base backup {name}" for fault, name in faults.items()),
        *([] if lost is None else [lost]),
        *sorted(archive.strangers.values()),
    ]


def _lost(archive: Archive, last_archived: str | None) -> str | None:
    """Return a sentence if the archive lacks the last segment that the server has archived.

    A gap at the end shows in no name: the next segment would show it.
    """
    segment = "" if last_archived is None else last_archived[:24]
    if not NAME.fullmatch(segment) or segment in {*archive.sizes, *archive.strangers}:
        return None
    if last_archived == f"{segment}.partial":
        return None
    return f"segment {segment} was archived by the server and is missing in {archive.folder}"


def _archive(engine: Engine | None, policy: RecoveryPolicy, backups: list[BaseBackup]) -> Archive:
    if backups:
        return Archive.of(policy, backups[-1].segment_bytes, backups[-1].system)
    if engine is None:
        return Archive.of(policy, 16 << 20)
    facts = server.server_facts(engine)
    return Archive.of(policy, facts.segment_bytes, facts.system)


def archiving_of(engine: Engine, policy: RecoveryPolicy) -> Archiving:
    """Return the state of the server's archiver."""
    archiver = server.archiver(engine)
    with engine.connect() as connection:
        mode, ours = connection.execute(
            text("SELECT current_setting('archive_mode'), current_setting('archive_command')")
        ).one()
        may_count = connection.scalar(
            text("SELECT has_function_privilege('pg_ls_archive_statusdir()', 'EXECUTE')")
        )
        waiting = connection.scalar(_WAITING) if may_count else None
    at = archiver.last_archived_time
    return Archiving(
        mode=str(mode),
        ours=str(ours) == command(policy) and is_current(policy),
        last_archived=archiver.last_archived_wal,
        last_archived_at=at,
        age_seconds=None if at is None else round((archiver.now - at).total_seconds(), 1),
        last_failed=archiver.last_failed_wal,
        last_failed_at=archiver.last_failed_time,
        fails=archiver.fails,
        waiting=waiting,
    )


def _reach(
    programs: Programs, archive: Archive, backups: list[BaseBackup], backup: BaseBackup
) -> Reach:
    try:
        catalogue.chain(backups, backup.name)
    except OperationError as error:
        return Reach(backup, None, None, error.message)
    wal = covered(archive, backup)
    last, unreadable = last_end(programs, archive, wal.names)
    latest = backup.ended_at if last is None else max(last, backup.ended_at)
    return Reach(backup, backup.ended_at, latest, wal.fault or unreadable)
