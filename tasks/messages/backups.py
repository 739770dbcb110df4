"""Results of dumps, base backups and the drills that prove them."""

from datetime import datetime

from pydantic import Field

from tasks.messages.base import Result


class BackedUp(Result):
    """Answer of ``maintenance.backup``.

    ``backup`` is the new backup's name, null with ``dry_run`` and when it was ``skipped`` because
    another was running; ``target`` is its directory or bucket. ``size`` is the size of its files in
    bytes, ``tables`` and ``rows`` are the numbers it contains, ``seconds`` is the duration.
    ``expired`` names the backups that retention deleted, or with ``dry_run`` would delete now;
    ``kept`` counts the remaining ones.
    """

    dry_run: bool = False
    skipped: bool = False
    backup: str | None = None
    target: str | None = None
    size: int = 0
    tables: int = 0
    rows: int = 0
    seconds: float = 0
    expired: tuple[str, ...] = ()
    kept: int = 0


class VerifiedBackup(Result):
    """Answer of ``maintenance.verify_backup``.

    ``backup`` was restored into a private server, or with ``dry_run`` would be. ``rows`` counts the
    rows of each table; numbers and contents equal the dump's. ``objects`` counts columns,
    indexes, constraints and other objects that match the migration; ``rendered`` names the
    templates that were rendered from the backup. ``seconds`` is the duration.
    """

    dry_run: bool = False
    backup: str
    size: int
    revision: str | None = None
    rows: dict[str, int] = Field(default_factory=dict)
    roles: int = 0
    objects: int = 0
    rendered: tuple[str, ...] = ()
    seconds: float = 0


class BaseBackedUp(Result):
    """Answer of ``maintenance.base_backup``.

    ``base_backup`` is the new backup's name, null with ``dry_run`` and when it was ``skipped``, for
    the ``reason`` given: another was running, or point-in-time recovery was never set up. ``kind``
    is ``full`` or ``incremental``, ``parent`` the backup that it builds on. ``size`` is in bytes,
    ``seconds`` is the duration, ``expired`` names the backups that were removed afterwards.
    """

    dry_run: bool = False
    skipped: bool = False
    reason: str | None = None
    base_backup: str | None = None
    kind: str = ""
    parent: str | None = None
    size: int = 0
    seconds: float = 0
    expired: tuple[str, ...] = ()


class RecordedFigures(Result):
    """Answer of ``maintenance.recovery_figures``.

    ``recorded_at`` is the moment whose row counts and checksums were recorded, ``tables`` and
    ``rows`` their numbers.
    ``skipped`` where WAL is not archived; ``reason`` says so.
    """

    dry_run: bool = False
    skipped: bool = False
    reason: str | None = None
    recorded_at: datetime | None = None
    tables: int = 0
    rows: int = 0


class DrilledRecovery(Result):
    """Answer of ``maintenance.recovery_drill``.

    The database was recovered to the moment ``recovered_to``, at ``lsn``, from the base backups
    ``base``; ``rows`` counts the rows of each table, whose contents equal the recorded ones.
    ``segments`` and ``base_backups`` were verified before, ``seconds`` is the total duration.
    ``reason`` says why the drill was ``skipped``, or why the newest WAL was not part of it.
    """

    dry_run: bool = False
    skipped: bool = False
    reason: str | None = None
    recovered_to: datetime | None = None
    lsn: str | None = None
    base: tuple[str, ...] = ()
    rows: dict[str, int] = Field(default_factory=dict)
    segments: int = 0
    base_backups: int = 0
    seconds: float = 0
