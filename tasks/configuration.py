"""Configuration of the tasks: policies, each setting once, safe to carry over a fork."""

from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar

from db.addresses import Database
from db.backup.policy import BackupPolicy
from db.bounds import COUNT, COUNT_OR_NONE, DAYS, DAYS_OR_NONE, SECONDS
from db.cluster.programs import Programs
from db.commands.core import Client
from db.recovery.policy import RecoveryPolicy
from tasks.rendering.limits import Limits


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Policy of retries while a server is unavailable. Times are seconds."""

    # 0.5 + 1 + 2 + 4 + 8 + 8 + 8 + 8 s: a failover or a restart of the database is survived.
    most: Annotated[
        int,
        COUNT_OR_NONE,
        "Retries while the database is unavailable, before the error unavailable.",
    ] = 8
    # Less than the 10 s within which work goes on when a server is back. Who waits for answers and
    # has a quick failover lowers it; a constant would have them wait for 8 s after each.
    longest: Annotated[
        float,
        SECONDS,
        "Maximum seconds between two retries.",
    ] = 8

    backoff: ClassVar[float] = 0.5
    """Before the first retry; doubled each time, with jitter. A reconnect takes less."""


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """Policy of the cleanups: what maintenance keeps."""

    purge_after_days: Annotated[
        int,
        DAYS_OR_NONE,
        "Days after which a soft-deleted template is permanently deleted.",
    ] = 30
    keep_versions: Annotated[
        int,
        COUNT,
        "Newest versions to keep of each template, in addition to the current one.",
    ] = 10
    keep_records_days: Annotated[
        int,
        DAYS,
        "Days to keep idempotency records and dead letters; longer than any message may be "
        "delivered again.",
    ] = 30

    batch: ClassVar[int] = 500
    """Rows that one transaction deletes: its locks are short, so that renders do not wait."""


@dataclass(frozen=True, slots=True)
class Operations:
    """Configuration of maintenance.

    Attributes
    ----------
    url
        The database, as a role that may maintain it; empty for the one of the tasks.
    """

    url: str = ""
    programs: Annotated[
        str,
        "Directory of PostgreSQL's programs, as new as the server. Empty: those installed with "
        "this service.",
    ] = ""
    metrics_file: Annotated[
        str,
        "File that maintenance.report writes for Prometheus's textfile collector. Empty: none.",
    ] = ""
    notify_command: Annotated[
        str,
        "Command to run when a run of maintenance has failed, with the facts as JSON on standard "
        "input. Empty: none.",
    ] = ""
    backup: BackupPolicy = field(default_factory=BackupPolicy)
    recovery: RecoveryPolicy = field(default_factory=RecoveryPolicy)


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that a :class:`tasks.runtime.Runtime` is made from."""

    database: Database
    limits: Limits = field(default_factory=Limits)
    default_language: str = "en"
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    housekeeping: Housekeeping = field(default_factory=Housekeeping)
    operations: Operations = field(default_factory=Operations)

    @property
    def maintenance(self) -> Database:
        """The database as maintenance uses it: its own role, and no statement timeout."""
        url = self.operations.url or self.database.url
        return replace(self.database, url=url, statement_timeout=0, transaction_pooler=False)

    @property
    def client(self) -> Client:
        """PostgreSQL's programs, connected as maintenance is."""
        return Client(Programs.chosen(self.operations.programs), self.maintenance.url)
