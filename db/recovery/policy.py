"""Policy of point-in-time recovery: directory and retention."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from annotated_types import Interval, Predicate

from db.backup.policy import OBJECT_STORAGE
from db.bounds import COUNT, DAYS, DAYS_OR_NONE
from db.recovery.object_path import AnyPath, location

# The most that is lost with the server's disk, at 16 MiB of archive for each timeout in which
# anything was written.
ARCHIVE_TIMEOUT_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Storage:
    """Paths of archived WAL, base backups, and what recovery drills read and record.

    Attributes
    ----------
    root
        The directory, or a prefix in object storage.
    """

    root: AnyPath

    @property
    def wal(self) -> AnyPath:
        """The WAL archive."""
        return self.root / "wal"

    @property
    def base(self) -> AnyPath:
        """The base backups, a directory each."""
        return self.root / "base"

    @property
    def figures(self) -> AnyPath:
        """Row counts and checksums of the tables, with which recovery drills compare."""
        return self.root / "figures"

    @property
    def drill(self) -> AnyPath:
        """The result of the last recovery drill."""
        return self.root / "drill.json"


@dataclass(frozen=True, slots=True)
class RecoveryPolicy:
    """Policy of base backups and archived WAL."""

    directory: Annotated[
        Path,
        Predicate(lambda path: path != Path()),
        "Directory of base backups and archived WAL; the server's user writes to its "
        "subdirectory wal. A relative path is below the same directory as the dumps' path.",
    ] = Path("recovery")
    target: Annotated[
        str,
        Predicate(lambda target: not target or OBJECT_STORAGE.fullmatch(target) is not None),
        "Object storage for base backups and archived WAL, as s3://bucket/prefix; the directory "
        "then has the archive command only. Applied to WAL by pitr setup. Empty: the directory.",
    ] = ""
    credentials_file: Annotated[
        str,
        "File of AWS_* variables for the target, one NAME=VALUE a line; the server's user reads "
        "it, since servers do not get this service's environment. Empty: the environment.",
    ] = ""
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

    # An idle server archives a segment each minute that something is written, nearly all zeros; a
    # busy one compresses to a third. zstd needs about 0.1 s for each.
    compress: Annotated[
        bool,
        "Compress base backups with zstd, and archived WAL where the program zstd is installed on "
        "the server's machine; of WAL it is applied by pitr setup.",
    ] = True

    recipients_file: Annotated[
        str,
        "File of age recipients, one a line, for whom base backups and archived WAL are encrypted; "
        "the server's user reads it. Applied to WAL by pitr setup. Empty: no encryption.",
    ] = ""
    identity_file: Annotated[
        str,
        "File of the age identity that decrypts them, for verification, drills, restores and "
        "standbys.",
    ] = ""

    # An upload waits for the network most of the time. Each job has a segment in memory twice.
    archive_jobs: Annotated[
        int,
        Interval(ge=1, le=32),
        "Files of WAL that the archive program stores at a time when several wait: the one that "
        "PostgreSQL asks for and the next ones. Applied by pitr setup. With a command before each "
        "file it is one.",
    ] = 4

    standby: Annotated[
        str,
        "Standby from which base backups are taken, as HOST:PORT; user, password and database come "
        "from the maintenance address. Empty: the primary.",
    ] = ""
    before_base_backup: Annotated[
        str,
        "Command to run before a base backup, which is not taken if it fails; it gets the facts as "
        "JSON on standard input. Empty: none.",
    ] = ""
    after_base_backup: Annotated[
        str,
        "Command to run after a base backup, with its catalog entry as JSON on standard input. The "
        "base backup stays if it fails. Empty: none.",
    ] = ""
    before_archive: Annotated[
        str,
        "Command that archive.sh runs on the server's machine before it archives a file of WAL, "
        "which is tried again later if it fails. Applied by pitr setup. Empty: none.",
    ] = ""
    after_archive: Annotated[
        str,
        "Command that archive.sh runs on the server's machine after it has archived a file of WAL. "
        "If it fails, the server keeps its file and tries again later. Applied by pitr setup. "
        "Empty: none.",
    ] = ""

    @property
    def wal(self) -> Path:
        """The WAL archive in the directory, which the server's user writes to."""
        return self.directory.absolute() / "wal"

    @property
    def base(self) -> Path:
        """The base backups in the directory, a directory each."""
        return self.directory.absolute() / "base"

    @property
    def storage(self) -> Storage:
        """Paths of what a recovery needs, in the target or in the directory."""
        if self.target:
            return Storage(location(self.target, self.credentials_file))
        return Storage(self.directory.absolute())
