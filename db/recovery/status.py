"""What point-in-time recovery could do now, and what stands in its way."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Engine, text

from db.cluster.programs import Programs
from db.errors import OperationError
from db.recovery import catalogue, server
from db.recovery.catalogue import BaseBackup
from db.recovery.choice import covered
from db.recovery.policy import RecoveryPolicy
from db.recovery.segments import Archive
from db.recovery.setup import command
from db.recovery.transactions import last_end

_WAITING: Final = text("""
SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'
""")


@dataclass(frozen=True, slots=True)
class Archiving:
    """How the server archives.

    Attributes
    ----------
    mode
        ``archive_mode``.
    ours
        Whether its command is the one of ``pitr setup``, and writes to the folder of the settings.
    age_seconds
        Since the last segment was archived.
    waiting
        Segments that are yet to be archived; ``None`` when the role may not look.
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


@dataclass(frozen=True, slots=True)
class Reach:
    """A base backup, and the times that one can go back to from it.

    Attributes
    ----------
    backup
        The base backup.
    earliest, latest
        Both ``None`` when nothing can be restored from it; ``latest`` equals ``earliest`` when no
        transaction ended after it.
    fault
        What ends it before the end of the archive, or makes it useless.
    """

    backup: BaseBackup
    earliest: datetime | None
    latest: datetime | None
    fault: str | None


@dataclass(frozen=True, slots=True)
class Status:
    """What :func:`look` found.

    Attributes
    ----------
    archiving
        ``None`` when the server was not asked.
    segments, wal_bytes
        Of the archive.
    timeline
        The newest one in the archive.
    reaches
        One for each base backup, the oldest first.
    strangers
        Folders among the base backups that have no readable entry.
    earliest, latest
        The times that one can go back to.
    """

    archiving: Archiving | None
    segments: int
    wal_bytes: int
    timeline: int
    reaches: list[Reach]
    strangers: list[str]
    earliest: datetime | None
    latest: datetime | None

    @property
    def problems(self) -> list[str]:
        """What an operator should mend, in sentences."""
        found = [f"{name} has no readable {catalogue.ENTRY}" for name in self.strangers]
        found += [
            f"base backup {reach.backup.name}: {reach.fault}"
            for reach in self.reaches
            if reach.fault is not None
        ]
        if not self.reaches:
            found.append("there is no base backup: template-service pitr base-backup")
        if self.archiving is not None:
            if self.archiving.mode == "off" or not self.archiving.ours:
                found.append(
                    "the server does not archive to this folder: template-service pitr setup"
                )
            if self.archiving.fails:
                found.append(f"{self.archiving.last_failed} was not archived: see the server's log")
        return found


def look(engine: Engine | None, programs: Programs, policy: RecoveryPolicy) -> Status:
    """Return what is there; without ``engine`` the server is not asked."""
    backups = catalogue.read(policy.base)
    archiving = None if engine is None else _archiving(engine, policy)
    if not policy.wal.is_dir():
        segment_bytes = 0
        archive = Archive(policy.wal, {}, segment_bytes, {})
    else:
        archive = Archive.read(policy.wal, _segment_bytes(engine, backups))
    reaches = [_reach(programs, archive, backups, backup) for backup in backups]
    earliest = min((found.earliest for found in reaches if found.earliest), default=None)
    latest = max((found.latest for found in reaches if found.latest), default=None)
    return Status(
        archiving,
        len(archive.sizes),
        sum(archive.sizes.values()),
        archive.newest_timeline,
        reaches,
        catalogue.strangers(policy.base),
        earliest,
        latest,
    )


def _segment_bytes(engine: Engine | None, backups: list[BaseBackup]) -> int:
    if backups:
        return backups[-1].segment_bytes
    return 16 << 20 if engine is None else server.ask(engine).segment_bytes


def _archiving(engine: Engine, policy: RecoveryPolicy) -> Archiving:
    told = server.archiver(engine)
    with engine.connect() as connection:
        mode, ours = connection.execute(
            text("SELECT current_setting('archive_mode'), current_setting('archive_command')")
        ).one()
        may_look = connection.scalar(
            text("SELECT has_function_privilege('pg_ls_archive_statusdir()', 'EXECUTE')")
        )
        waiting = connection.scalar(_WAITING) if may_look else None
    at = told.last_archived_time
    return Archiving(
        mode=str(mode),
        ours=str(ours) == command(policy),
        last_archived=told.last_archived_wal,
        last_archived_at=at,
        age_seconds=None if at is None else round((told.now - at).total_seconds(), 1),
        last_failed=told.last_failed_wal,
        last_failed_at=told.last_failed_time,
        fails=told.fails,
        waiting=waiting,
    )


def _reach(
    programs: Programs, archive: Archive, backups: list[BaseBackup], backup: BaseBackup
) -> Reach:
    try:
        catalogue.chain(backups, backup.name)
    except OperationError as error:
        return Reach(backup, None, None, error.message)
    found = covered(archive, backup)
    last, unreadable = last_end(programs, archive, found.names)
    latest = backup.ended_at if last is None else max(last, backup.ended_at)
    return Reach(backup, backup.ended_at, latest, found.fault or unreadable)
