"""The result of ``maintenance.report``."""

from datetime import datetime

from pydantic import Field

from tasks.messages.base import Result


class QueueFigures(Result):
    """Messages of one queue on the broker.

    ``ready`` wait for a worker; ``reserved`` are held by one, that is being worked on or taken
    ahead; ``delayed`` wait on the broker for their time. The latter two are null where the broker
    does not tell them: RabbitMQ tells its own management only.
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
    """Figures of the broker; null where it does not tell them, or does not answer."""

    queues: dict[str, QueueFigures] | None = Field(
        default=None, description="The backlog of each queue of the broker, dead letters too."
    )
    dead_letters: int | None = Field(default=None, description="Dead letters on the broker.")
    dead_letters_bytes: int | None = Field(
        default=None, description="Their size; null on RabbitMQ, as are the next two."
    )
    dead_letters_oldest_age_seconds: float | None = Field(
        default=None, description="Since the oldest became a dead letter; null without any."
    )
    dead_letters_dropped: int | None = Field(
        default=None, description="Dead letters that were ever dropped because there were too many."
    )


class Report(BrokerFigures):
    """Answer of ``maintenance.report``: the figures of one moment.

    Ages and times are seconds, sizes bytes, ratios 0 to 1. A value is null where there is none, as
    the age of a backup before the first, and where it could not be read; ``unknown`` names those.
    """

    at: datetime = Field(description="When the figures were taken, in UTC.")
    connections: dict[str, int] = Field(
        description="Sessions of clients in this database, by state."
    )
    max_connections: int = Field(description="What the server takes, in all databases.")
    longest_query_seconds: float = Field(description="Age of the longest running statement.")
    longest_transaction_seconds: float = Field(description="Age of the oldest open transaction.")
    blocked_sessions: int = Field(description="Sessions that wait for a lock.")
    cache_hit_ratio: float | None = Field(description="Blocks found in PostgreSQL's memory.")
    dead_rows: int = Field(description="Rows that are gone and not cleared away yet.")
    xid_age: int = Field(description="Transactions since the oldest row was frozen.")
    database_bytes: int = Field(description="Disk space of the database.")
    table_bytes: dict[str, int] | None = Field(
        description="Disk space of each table and sequence, with indexes and TOAST."
    )
    slow_statements: list[StatementFigures] | None = Field(
        description="The slowest statements on average; null where nothing counts them."
    )
    standby: bool = Field(description="Whether the server is one.")
    standby_lag_seconds: float | None = Field(
        description="On a standby: since the last commit it applied, 0 when it has all."
    )
    replicas: dict[str, ReplicaFigures] = Field(description="Standbys of this server, by name.")
    slot_retained_bytes: dict[str, int | None] = Field(
        description="WAL kept for each replication slot; null for one that is lost."
    )
    archiving: bool = Field(description="Whether WAL is archived.")
    archive_failures: int = Field(description="Failed tries since the statistics were reset.")
    archived_age_seconds: float | None = Field(description="Since WAL was last archived.")
    backup_age_seconds: float | None = Field(description="Age of the newest full dump.")
    backup_verified_age_seconds: float | None = Field(
        description="Since a restore last proved a full dump."
    )
    base_backup_age_seconds: float | None = Field(
        default=None, description="Age of the newest base backup."
    )
    recovery_earliest_age_seconds: float | None = Field(
        default=None, description="Since the earliest time that can be recovered."
    )
    recovery_latest_age_seconds: float | None = Field(
        default=None, description="Since the end of the archived WAL: what a lost disk would lose."
    )
    recovery_gaps: int | None = Field(
        default=None, description="Base backups whose archived WAL has a gap or a damaged segment."
    )
    recovery_proved_age_seconds: float | None = Field(
        default=None, description="Since a recovery drill last proved a recovery."
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
        "null where the broker does not tell.",
    )
    unknown: list[str] = Field(
        description="What could not be had, and why: tables: locked, backups: target_unreadable."
    )
