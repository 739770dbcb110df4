"""Results of dumps, base backups and the drills that prove them."""

from datetime import datetime

from pydantic import Field

from tasks.messages.base import Result


class BackedUp(Result):
    """Answer of ``maintenance.backup``.

    ``backup`` is the name of the one that was made, null with ``dry_run`` and when it was
    ``skipped`` because another was under way; ``target`` is where it is. ``size`` is bytes of its
    files, ``tables`` and
    ``rows`` what it holds, ``seconds`` what it took. ``expired`` names the backups that retention
    deleted, or with ``dry_run`` would delete now; ``kept`` counts those that stay.
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

    ``backup`` was restored into a server of its own, or with ``dry_run`` would be. ``rows`` are
    those of each table, contents and numbers as they were when it was dumped; ``objects`` counts
    columns, indexes, constraints and others that are as their migration makes them; ``rendered``
    names the templates that were rendered from it. ``seconds`` is what it took.
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

    ``base_backup`` is the name of the one that was taken, null with ``dry_run`` and when it was
    ``skipped``, of which ``reason`` says why: another was under way, or recovery to a point in time
    was never set up. ``kind`` is ``full`` or ``incremental``, ``parent``
    what it builds on. ``size`` is bytes, ``seconds`` what it took, ``expired`` the ones that were
    removed then.
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

    ``recorded_at`` is the moment whose figures were recorded, ``tables`` and ``rows`` how many.
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
    ``base``; ``rows`` are those of each table, numbers and contents as recorded at that moment.
    ``segments`` and ``base_backups`` were verified before, ``seconds`` is what all of it took.
    ``reason`` says why it was ``skipped``, or why the newest WAL was not part of it.
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
