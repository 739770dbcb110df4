"""Findings of checks, their thresholds, and the context of a check."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final, Literal

from db.monitoring.reader import Reader

Severity = Literal["error", "warning", "notice"]
MIB: Final = 1024 * 1024
MAINTENANCE_ROLE: Final = "template-service db roles apply"


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem that a check found.

    Attributes
    ----------
    id
        A stable name of the kind of problem.
    severity
        ``error``: the service or its data are in danger now; ``warning``: fix it soon;
        ``notice``: for information.
    what, why, remedy
        The problem, its consequences, and the command that fixes it.
    """

    id: str
    severity: Severity
    what: str
    why: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Limits:
    """Thresholds of findings. Ages are in seconds, sizes in bytes, shares from 0 to 1."""

    connections: float = 0.8
    transaction_seconds: float = 600
    blocked_seconds: float = 10
    prepared_seconds: float = 3600
    dead_factor: float = 2
    dead_rows: int = 10_000
    unused_index_bytes: int = 10 * MIB
    unknown_rows: int = 1000
    cache_ratio: float = 0.9
    cache_blocks: int = 100_000
    slot_bytes: int = 1024 * MIB
    standby_bytes: int = 256 * MIB
    sequence_percent: float = 75
    xid_age: int = 2**30
    """Half of the age at which PostgreSQL refuses writes."""
    clock_seconds: float = 5
    dump_age: timedelta = timedelta(hours=26)
    """A day, plus the duration of a nightly dump."""
    verified_age: timedelta = timedelta(days=8)
    base_backup_age: timedelta = timedelta(days=8)


@dataclass(frozen=True, slots=True)
class Expected:
    """Expected state of this service's database.

    Attributes
    ----------
    revision
        The newest migration of this checkout.
    application_role
        The role of the tasks.
    pool
        Connections that one worker process may open.
    programs
        Version of PostgreSQL's client programs, such as (18, 7); None if they are not installed.
    limits
        Thresholds of findings.
    """

    revision: str
    application_role: str
    pool: int
    programs: tuple[int, int] | None = None
    limits: Limits = field(default_factory=Limits)


class CheckContext:
    """The database that is checked, with the expected state and the time."""

    def __init__(self, reader: Reader, expected: Expected, now: datetime) -> None:
        self.reader = reader
        self.expected = expected
        self.now = now

    @property
    def limits(self) -> Limits:
        """Thresholds of findings."""
        return self.expected.limits

    @cached_property
    def settings(self) -> dict[str, str]:
        """The settings that checks read."""
        return self.reader.settings(*SETTINGS)

    @cached_property
    def version(self) -> tuple[int, int]:
        """The server's version, such as (18, 6)."""
        return divmod(int(self.settings["server_version_num"]), 10_000)


SETTINGS: Final[Sequence[str]] = (
    "archive_command",
    "archive_library",
    "archive_mode",
    "autovacuum",
    "data_checksums",
    "fsync",
    "full_page_writes",
    "log_min_duration_statement",
    "log_parameter_max_length",
    "log_statement",
    "max_connections",
    "max_slot_wal_keep_size",
    "password_encryption",
    "pg_stat_statements.max",
    "server_version_num",
    "ssl",
    "synchronous_standby_names",
    "track_counts",
)
