"""Policy of point-in-time recovery: directory and retention."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from annotated_types import Predicate

from db.bounds import COUNT, DAYS, DAYS_OR_NONE

# The most that is lost with the server's disk, at 16 MiB of archive for each timeout in which
# anything was written.
ARCHIVE_TIMEOUT_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class RecoveryPolicy:
    """Policy of base backups and archived WAL."""

    directory: Annotated[
        Path,
        Predicate(lambda path: path != Path()),
        "Directory of base backups and archived WAL; the server's user writes to its "
        "subdirectory wal. A relative path is below the same directory as that of dumps.",
    ] = Path("recovery")
    # A month of weekly base backups.
    keep: Annotated[
        int,
        COUNT,
        "Number of full base backups to keep, each with its incremental ones and WAL.",
    ] = 4
    # Four weekly base backups reach back further than most windows; who takes them more often, or
    # keeps fewer, sets the days that must stay.
    window_days: Annotated[
        int,
        DAYS_OR_NONE,
        "Days of which every second stays recoverable, whatever the number of full base backups. "
        "0: only the number counts.",
    ] = 0
    full_days: Annotated[
        int,
        DAYS,
        "Days after which maintenance.base_backup takes a full base backup instead of an "
        "incremental one (PostgreSQL 17 and newer).",
    ] = 28

    @property
    def wal(self) -> Path:
        """The WAL archive, which the server's user writes to."""
        return self.directory.absolute() / "wal"

    @property
    def base(self) -> Path:
        """The base backups, a directory each."""
        return self.directory.absolute() / "base"

    @property
    def figures(self) -> Path:
        """Figures of the database, with which recovery drills compare."""
        return self.directory.absolute() / "figures"

    @property
    def drill(self) -> Path:
        """The result of the last recovery drill."""
        return self.directory.absolute() / "drill.json"
