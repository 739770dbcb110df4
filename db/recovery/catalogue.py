"""The catalog of base backups: the facts about each, and the backup it builds on.

Each is a directory with ``data``, as ``pg_basebackup`` wrote it, and ``backup.json``. It gets its
name when both are complete and synced; until then, and while it is removed, it ends with
``.partial``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from db.errors import OperationError
from db.recovery.segments import parsed_lsn, segment_name

ENTRY: Final = "backup.json"
DATA: Final = "data"
MANIFEST: Final = "backup_manifest"
PARTIAL: Final = ".partial"


@dataclass(frozen=True, slots=True)
class BaseBackup:
    """One base backup, verified when it was taken.

    Attributes
    ----------
    name
        Its directory.
    parent
        Name of the backup that it builds on; ``None`` for a full one.
    started_at, ended_at
        By the server's clock. ``ended_at`` is the earliest time to recover to.
    server
        Version of the server, such as ``180006``.
    superuser
        The bootstrap superuser of the cluster, which exists at any time of its life.
    system
        The system identifier of the database cluster.
    timeline, start_lsn, stop_lsn
        The WAL that it needs at least and contains.
    checksums
        SHA-256 of the files that its manifest does not cover, by name.
    """

    name: str
    parent: str | None
    started_at: datetime
    ended_at: datetime
    server: int
    superuser: str
    system: str
    timeline: int
    start_lsn: str
    stop_lsn: str
    segment_bytes: int
    bytes: int
    checksums: dict[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """``full`` or ``incremental``."""
        return "full" if self.parent is None else "incremental"

    @property
    def major(self) -> int:
        """Major version of PostgreSQL."""
        return self.server // 10_000

    @property
    def stop(self) -> int:
        """The LSN that a recovery reaches at least."""
        return parsed_lsn(self.stop_lsn)

    @property
    def first_segment(self) -> str:
        """Name of the oldest WAL segment that a recovery from it reads."""
        number = parsed_lsn(self.start_lsn) // self.segment_bytes
        return segment_name(self.timeline, number, self.segment_bytes)


_ADAPTER: Final = TypeAdapter(BaseBackup)


def write(folder: Path, backup: BaseBackup) -> Path:
    """Write the entry of a backup into its directory; return its file."""
    file = folder / ENTRY
    file.write_bytes(_ADAPTER.dump_json(backup, indent=2))
    return file


def read(base: Path) -> list[BaseBackup]:
    """Return the base backups of a directory, the oldest first; see also :func:`unreadable`."""
    backups = [backup for _, backup in _folders(base) if backup is not None]
    return sorted(backups, key=lambda backup: (backup.started_at, backup.name))


def unreadable(base: Path) -> list[str]:
    """Return the names of directories without a readable entry, which no command touches."""
    return [name for name, backup in _folders(base) if backup is None]


def chain(backups: Sequence[BaseBackup], name: str) -> list[BaseBackup]:
    """Return a backup and all that it builds on, the full one first.

    Raises OperationError: ``parent_missing`` or ``no_base_backup``.
    """
    by_name = {backup.name: backup for backup in backups}
    links: list[BaseBackup] = []
    wanted: str | None = name
    while wanted is not None:
        backup = by_name.get(wanted)
        if backup is None and not links:
            raise OperationError(
                "no_base_backup",
                f"base backup {name} does not exist",
                "choose one that template-service pitr status lists",
            )
        if backup is None:
            raise OperationError(
                "parent_missing",
                f"base backup {links[-1].name} builds on {wanted}, which is missing",
                "pass another with --from (template-service pitr status lists them), and take a "
                "new one: template-service pitr base-backup --full",
            )
        links.append(backup)
        wanted = backup.parent
    return links[::-1]


def _folders(base: Path) -> Iterator[tuple[str, BaseBackup | None]]:
    if not base.is_dir():
        return
    for folder in sorted(base.iterdir()):
        if folder.is_dir() and not folder.name.endswith(PARTIAL):
            yield folder.name, _entry(folder)


def _entry(folder: Path) -> BaseBackup | None:
    try:
        backup = _ADAPTER.validate_json((folder / ENTRY).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    return backup if backup.name == folder.name else None
