"""What an operator decides of point-in-time recovery."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

# The most that is lost with the server's disk, at 16 MiB of archive for each timeout in which
# anything was written.
ARCHIVE_TIMEOUT_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class RecoveryPolicy:
    """Where base backups and WAL are, and how many stay.

    Attributes
    ----------
    directory
        Folder of both.
    keep
        How many full base backups stay, each with the incremental ones that build on it.
    full_days
        Days after which a base backup is a full one again.
    """

    directory: Path = Path("recovery")
    keep: int = 4
    full_days: int = 28

    @property
    def wal(self) -> Path:
        """The archive: the server's user writes to it."""
        return self.directory.absolute() / "wal"

    @property
    def base(self) -> Path:
        """The base backups, a folder each."""
        return self.directory.absolute() / "base"
