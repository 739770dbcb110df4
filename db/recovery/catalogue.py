"""The catalog of base backups: the facts about each, and the backup it builds on.

Each is a directory with ``data``, as ``pg_basebackup`` wrote it, and ``backup.json``. It gets its
name when both are complete and synced; until then, and while it is removed, it ends with
``.partial``.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

from annotated_types import Interval
from pydantic import TypeAdapter, ValidationError

from db.backup.catalogue import LEFTOVER_AGE
from db.bounds import Lsn, Moment
from db.cluster.owned import OwnedDirectory
from db.cluster.processes import private_directory
from db.disk import sync
from db.errors import Kind, OperationError
from db.recovery.object_path import AnyPath, ObjectPath, listed, replace
from db.recovery.segments import parsed_lsn, segment_name

ENTRY: Final = "backup.json"
DATA: Final = "data"
MANIFEST: Final = "backup_manifest"
PARTIAL: Final = ".partial"
SegmentSize = Annotated[int, Interval(ge=2**20, le=2**30)]


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
    bytes
        Size of its files, unpacked.
    checksums
        SHA-256 of the files that its manifest does not cover, by name.
    packed_bytes
        Size of its file when it is packed; else ``None``.
    """

    name: str
    parent: str | None
    started_at: Moment
    ended_at: Moment
    server: int
    superuser: str
    system: str
    timeline: int
    start_lsn: Lsn
    stop_lsn: Lsn
    segment_bytes: SegmentSize
    bytes: int
    checksums: dict[str, str] = field(default_factory=dict)
    packed_bytes: int | None = None

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
    def position(self) -> tuple[int, int]:
        """Its place in the order in which base backups were taken, whatever clocks said."""
        return self.timeline, parsed_lsn(self.start_lsn)

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


def facts(backup: BaseBackup) -> dict[str, object]:
    """Return the entry of a backup as JSON, for hooks."""
    entry: dict[str, object] = _ADAPTER.dump_python(backup, mode="json")
    return entry


def read(base: AnyPath) -> list[BaseBackup]:
    """Return the base backups of a directory, the oldest first; see also :func:`unreadable`."""
    backups = [backup for _, backup in _folders(base) if backup is not None]
    return sorted(backups, key=lambda backup: (backup.position, backup.name))


def unreadable(base: AnyPath) -> list[str]:
    """Return the names of directories without a readable entry, which no command touches."""
    return [name for name, backup in _folders(base) if backup is None]


def interrupted(base: AnyPath, now: datetime) -> list[str]:
    """Return the names of directories that killed base backups and removals left behind.

    The next base backup removes them.
    """
    found = []
    for folder in listed(base):
        mark = folder if isinstance(folder, Path) else folder / PARTIAL
        if isinstance(folder, Path) and not folder.name.endswith(PARTIAL):
            continue
        with suppress(FileNotFoundError):  # it is complete, or removed, meanwhile
            changed = datetime.fromtimestamp(mark.stat().st_mtime, UTC)
            if changed < now - LEFTOVER_AGE:
                found.append(folder.name)
    return found


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
                Kind.NO_BASE_BACKUP,
                f"base backup {name} does not exist",
                "choose one that template-service pitr status lists",
            )
        if backup is None:
            raise OperationError(
                Kind.PARENT_MISSING,
                f"base backup {links[-1].name} builds on {wanted}, which is missing",
                "pass another with --from (template-service pitr status lists them), and take a "
                "new one: template-service pitr base-backup --full",
            )
        if backup in links:
            raise OperationError(
                Kind.PARENT_MISSING,
                f"base backup {backup.name} builds on itself",
                "its entry is damaged; take a new one: template-service pitr base-backup --full",
            )
        links.append(backup)
        wanted = backup.parent
    return links[::-1]


@contextmanager
def draft(final: AnyPath, scratch: Path | None = None) -> Iterator[Path]:
    """Yield a directory that becomes a base backup when the block succeeds, and is else removed.

    Raises OSError: it cannot be created.

    Parameters
    ----------
    scratch
        Where it is until it is uploaded; by default the system's temporary directory.
    """
    if isinstance(final, ObjectPath):
        with OwnedDirectory("upload", scratch) as directory:
            folder = directory.path / final.name
            folder.mkdir()
            yield folder
            _upload(folder, final)
        return
    private_directory(final.parent)
    folder = final.with_name(f"{final.name}{PARTIAL}")
    folder.mkdir(mode=0o700)
    try:
        yield folder
        sync(folder)
        folder.rename(final)
        sync(final.parent)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def remove(folder: AnyPath) -> None:
    """Remove a base backup. An interrupted removal leaves none that looks complete."""
    if isinstance(folder, Path):
        removed = folder.with_name(f"{folder.name}{PARTIAL}")
        folder.rename(removed)
        shutil.rmtree(removed)
        return
    mark = folder / PARTIAL
    replace(mark, b"")
    (folder / ENTRY).unlink()
    for path in folder.iterdir():
        if path.name != PARTIAL:
            path.unlink()
    mark.unlink()


def remove_leftovers(base: AnyPath) -> None:
    """Remove base backups whose creation or removal was interrupted."""
    for folder in listed(base):
        if isinstance(folder, Path):
            if folder.name.endswith(PARTIAL):
                shutil.rmtree(folder)
        elif is_unfinished(folder):
            if _entry(folder) is None:
                remove(folder)
            else:
                (folder / PARTIAL).unlink()


def _upload(folder: Path, final: ObjectPath) -> None:
    replace(final / PARTIAL, b"")
    for path in sorted(folder.iterdir(), key=lambda path: path.name == ENTRY):
        final.store.put(path, f"{final.key}/{path.name}")
    (final / PARTIAL).unlink()


def _folders(base: AnyPath) -> Iterator[tuple[str, BaseBackup | None]]:
    for folder in listed(base):
        if folder.is_dir() and not folder.name.endswith(PARTIAL):
            entry = _entry(folder)
            if entry is not None or not is_unfinished(folder):
                yield folder.name, entry


def is_unfinished(folder: AnyPath) -> bool:
    """Return whether a base backup in object storage is being written or removed.

    Objects cannot be renamed: the mark comes first, and the entry last; they go in that order too.
    """
    return isinstance(folder, ObjectPath) and (folder / PARTIAL).exists()


def _entry(folder: AnyPath) -> BaseBackup | None:
    try:
        backup = _ADAPTER.validate_json((folder / ENTRY).read_bytes())
    except (OSError, ValidationError):
        return None
    return backup if backup.name == folder.name else None
