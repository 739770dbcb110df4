"""The result of ``maintenance.report``."""

from datetime import datetime

from pydantic import Field

from tasks.messages.base import Result


class QueueFigures(Result):
    """Messages of one queue on the broker.

    ``ready`` wait for a worker; ``reserved`` are held by one, that is being worked on or taken
    ahead; ``delayed`` wait on the broker for their time. The latter two are null where the broker
    does not report them, as RabbitMQ, which shows them in its management interface only.
    """

    ready: int
    reserved: int | None
    delayed: int | None = 0


class ReplicaFigures(Result):
    """Replication lag of a standby, in WAL and in time; null when nothing was written lately."""

    lag_bytes: int | None
    lag_seconds: float | None


class StatementFigures(Result):
    """A statement that takes long, without its values. Times are milliseconds of execution."""

    query: str
    calls: int
    mean_ms: float
    max_ms: float
    total_ms: float


class BrokerFigures(Result):
    """Figures of the broker; null where it does not report them, or does not answer."""

    queues: dict[str, QueueFigures] | None = Field(
        default=None, description="The backlog of each queue of the broker, dead letters too."
    )
    dead_letters: int | None = Field(default=None, description="Dead letters on the broker.")
    dead_letters_bytes: int | None = Field(
        default=None, description="Size of the dead letters; null on RabbitMQ."
    )
    dead_letters_oldest_age_seconds: float | None = Field(
        default=None,
        description="Age of the oldest dead letter; null without any, and on RabbitMQ.",
    )
    dead_letters_dropped: int | None = Field(
        default=None,
        description="Dead letters dropped so far, because there were too many; null on RabbitMQ.",
    )


class Report(BrokerFigures):
    """Answer of ``maintenance.report``: the figures of one moment.

    Ages and times are seconds, sizes bytes, ratios 0 to 1. A value is null where there is none, as
    the age of a backup before the first, and where it could not be read, which ``unknown`` names.
    """

    at: datetime = Field(description="When the figures were taken, in UTC.")
    connections: dict[str, int] = Field(
        description="Sessions of clients in this database, by state."
    )
    max_connections: int = Field(
        description="Maximum connections to all of the server's databases."
    )
    longest_query_seconds: float = Field(description="Age of the longest running statement.")
    longest_transaction_seconds: float = Field(description="Age of the oldest open transaction.")
    blocked_sessions: int = Field(description="Sessions that wait for a lock.")
    cache_hit_ratio: float | None = Field(description="Share of blocks found in shared_buffers.")
    dead_rows: int = Field(description="Dead rows that vacuum has not removed yet.")
    xid_age: int = Field(description="Transactions since the oldest row was frozen.")
    database_bytes: int = Field(description="Disk space of the database.")
    table_bytes: dict[str, int] | None = Field(
        description="Disk space of each table and sequence, with indexes and TOAST."
    )
    slow_statements: list[StatementFigures] | None = Field(
        description="The slowest statements on average; null without pg_stat_statements."
    )
    standby: bool = Field(description="Whether the server is a standby.")
    standby_lag_seconds: float | None = Field(
        description="On a standby: time since the last commit that it applied; 0 if it has all."
    )
    replicas: dict[str, ReplicaFigures] = Field(description="Standbys of this server, by name.")
    slot_retained_bytes: dict[str, int | None] = Field(
        description="WAL kept for each replication slot; null for a lost slot."
    )
    archiving: bool = Field(description="Whether WAL is archived.")
    archive_failures: int = Field(
        description="Failed tries to archive WAL since the statistics were reset."
    )
    archived_age_seconds: float | None = Field(description="Time since WAL was last archived.")
    backup_age_seconds: float | None = Field(description="Age of the newest full dump.")
    backup_verified_age_seconds: float | None = Field(
        description="Time since a drill last verified a full dump."
    )
    base_backup_age_seconds: float | None = Field(
        default=None, description="Age of the newest base backup."
    )
    recovery_earliest_age_seconds: float | None = Field(
        default=None, description="Age of the earliest recoverable time."
    )
    recovery_latest_age_seconds: float | None = Field(
        default=None,
        description="Age of the end of the archived WAL: writes since would be lost with the disk.",
    )
    recovery_gaps: int | None = Field(
        default=None, description="Base backups whose archived WAL has a gap or a damaged segment."
    )
    recovery_proved_age_seconds: float | None = Field(
        default=None, description="Time since the last successful recovery drill."
    )
    recovery_drill_failed: bool | None = Field(
        default=None, description="Whether the last recovery drill found a problem."
    )
    failed_runs: dict[str, float] = Field(
        default_factory=dict,
        description="Seconds since the newest run of a maintenance task failed, by task.",
    )
    unconsumed: dict[str, int] | None = Field(
        default=None,
        description="Task messages of each queue that no worker consumes, this service's or not; "
        "null where the broker does not report it.",
    )
    unknown: list[str] = Field(
        description="What could not be read, and why: tables: locked, backups: target_unreadable."
    )
