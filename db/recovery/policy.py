"""Recovery policy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

# The most that is lost with the server's disk, at 16 MiB of archive for each timeout in which
# anything was written.
ARCHIVE_TIMEOUT_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class RecoveryPolicy:
    """Policy of point-in-time recovery: directory and retention.

    Attributes
    ----------
    directory
        Directory of base backups and archived WAL.
    keep
        Full base backups to keep, each with the incremental ones that build on it.
    full_days
        Days after which the next base backup is a full one.
    """

    directory: Path = Path("recovery")
    keep: int = 4
    full_days: int = 28

    @property
    def wal(self) -> Path:
        """The WAL archive, which the server's user writes to."""
        return self.directory.absolute() / "wal"

    @property
    def base(self) -> Path:
        """The base backups, a directory each."""
        return self.directory.absolute() / "base"
