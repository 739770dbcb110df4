"""Every setting of the service, once: its type, its default, and why it is so.

Settings come from the environment only. ``DATABASE_URL``, ``CELERY_BROKER_URL`` and
``CELERY_RESULT_BACKEND`` keep the names every Celery user knows; all others begin with
``TEMPLATE_SERVICE_``. ``.env.example`` lists them with the same words.
"""

import re
from functools import lru_cache
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.exc import ArgumentError

from db.session import connection_options
from tasks.messages.fields import LanguageCode
from tasks.rendering.limits import SECONDS_OF_EACH, Limits

PREFIX = "TEMPLATE_SERVICE_"
BROKER_SCHEMES = ("redis", "rediss", "sentinel", "amqp", "amqps")
RESULT_SCHEMES = ("redis", "rediss", "sentinel")
DATABASE_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")


class SettingsError(SystemExit):
    """Some settings are wrong: the start ends with a line for each, and exit status 1."""


def _cron(text: str) -> str:
    # Few commands need Celery, whose import takes a third of their start.
    from celery.schedules import ParseException, crontab  # noqa: PLC0415

    try:
        crontab.from_string(text)
    except (ParseException, ValueError) as error:
        raise ValueError(f"five cron fields were expected, such as '0 2 * * *': {error}") from error
    return text


Cron = Annotated[str, BeforeValidator(_cron), Field(validate_default=False)]
QueueType = Literal["classic", "quorum"]


class Settings(BaseSettings):
    """All settings, checked.

    Raises
    ------
    pydantic.ValidationError
        Naming every wrong setting. :func:`load` turns it into :class:`SettingsError`.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", populate_by_name=True
    )

    database_url: SecretStr = Field(
        validation_alias=AliasChoices("DATABASE_URL", "database_url"),
        description="PostgreSQL 15 or newer, as postgresql://user:password@host:port/database. Of "
        "several hosts, as host1:port1,host2:port2, the one that takes writes is used.",
    )
    maintenance_database_url: SecretStr = Field(
        default=SecretStr(""),
        description="The same database as a role that may maintain it, for maintenance.* and the "
        "commands. Empty: DATABASE_URL.",
    )
    broker_url: SecretStr = Field(
        validation_alias=AliasChoices("CELERY_BROKER_URL", "broker_url"),
        description="The broker: redis, rediss, sentinel, amqp or amqps.",
    )
    result_backend: SecretStr = Field(
        validation_alias=AliasChoices("CELERY_RESULT_BACKEND", "result_backend"),
        description="Where answers are kept until producers fetch them: redis, rediss, sentinel.",
    )

    broker_key_prefix: str = Field(
        default="",
        description="Prefix of all keys of the broker, on a Redis that others use too; producers "
        "set the same as global_keyprefix. Not for RabbitMQ.",
    )
    sentinel_master: str = Field(
        default="mymaster",
        description="Name of the primary that the sentinels of sentinel:// watch.",
    )
    sentinel_password: SecretStr = Field(
        default=SecretStr(""),
        description="Password of the sentinels themselves. Empty: none.",
    )

    default_language: LanguageCode = Field(
        default="en",
        description="Language of a version's own text when its metadata.language says nothing.",
    )
    callbacks: str = Field(
        default=r".*",
        description="Regular expression of the task names that link, chain and chord may call; "
        "maintenance.* never may.",
    )
    remote_control: bool = Field(
        default=True,
        description="Celery's remote control. Flower and inspect need it; with it, anyone who "
        "may write to the broker can stop workers.",
    )

    db_pool_size: PositiveInt = Field(
        default=20, description="Connections that a worker process keeps open at the most."
    )
    db_max_overflow: NonNegativeInt = Field(
        default=10, description="Connections beyond the pool when it is exhausted."
    )
    db_pool_timeout: PositiveFloat = Field(
        default=30, description="Seconds to wait for a free connection."
    )
    db_pool_recycle: PositiveInt = Field(
        default=3600, description="Seconds after which a connection is replaced."
    )
    db_pool_pre_ping: bool = Field(
        default=True, description="Test a connection before each use, so a restart goes unseen."
    )
    db_connect_timeout: PositiveInt = Field(
        default=5, description="Seconds to wait for PostgreSQL to accept a connection."
    )
    db_statement_timeout: PositiveFloat = Field(
        default=10,
        description="Seconds a statement of a task may take; maintenance has no such limit.",
    )

    start_timeout: PositiveFloat = Field(
        default=10,
        description="Seconds a starting worker waits for database and broker before it gives up.",
    )
    task_soft_time_limit: PositiveInt = Field(
        default=20, description="Seconds after which a task is interrupted and tried again."
    )
    task_time_limit: PositiveInt = Field(
        default=30, description="Seconds after which the process of a stuck task is replaced."
    )
    maintenance_time_limit: PositiveInt = Field(
        default=1700, description="The same for maintenance.* tasks."
    )
    visibility_timeout: PositiveInt = Field(
        default=3600,
        description="Seconds after which Redis hands an unacknowledged message to another worker; "
        "more than twice every time limit.",
    )
    socket_timeout: PositiveFloat = Field(
        default=5, description="Seconds until a silent connection to Redis counts as broken."
    )
    # Celery's producers declare the queues that they send to, without arguments, and RabbitMQ
    # refuses a declaration that differs from the queue. So by default both are the same.
    queue_type: QueueType = Field(
        default="classic",
        description="RabbitMQ only: type of the queues that a worker creates. classic: without "
        "arguments, as Celery's producers declare them. quorum: replicated in a cluster; see "
        "docs/messages.md for producers.",
    )
    # RabbitMQ 4 has the same default.
    delivery_limit: PositiveInt = Field(
        default=20,
        description="Quorum queues only: times that a message may come back unacknowledged, "
        "because its worker or connection died, before it is a dead letter.",
    )
    max_retries: NonNegativeInt = Field(
        default=8, description="Tries again while the database is away, before unavailable."
    )
    retry_backoff: PositiveFloat = Field(
        default=0.5,
        description="Seconds before the first try again; doubled each time, with jitter.",
    )
    # Less than the 10 s within which work goes on when a server is back.
    retry_backoff_max: PositiveFloat = Field(
        default=8, description="Seconds between two tries at the most."
    )
    prefetch: PositiveInt = Field(
        default=4, description="Messages that each pool process may reserve ahead."
    )
    result_expires: PositiveInt = Field(
        default=86_400, description="Seconds that an answer is kept in the result backend."
    )

    limit_body_bytes: PositiveInt = Field(
        default=256 * 1024, description="Source of a body, in bytes of UTF-8."
    )
    limit_subject_bytes: PositiveInt = Field(
        default=2 * 1024, description="Source of a subject, in bytes of UTF-8."
    )
    limit_variables_bytes: PositiveInt = Field(
        default=256 * 1024, description="Variables of one render, in bytes of JSON."
    )
    limit_output_bytes: PositiveInt = Field(
        default=2 * 1024 * 1024, description="Rendered output, in bytes of UTF-8."
    )
    limit_message_bytes: PositiveInt = Field(
        default=1024 * 1024, description="A message's body, in bytes."
    )
    limit_batch_bytes: PositiveInt = Field(
        default=4 * 1024 * 1024, description="The body of a message of render.batch, in bytes."
    )
    limit_batch_items: PositiveInt = Field(default=1000, description="Items of one batch.")
    limit_batch_output_bytes: PositiveInt = Field(
        default=64 * 1024 * 1024, description="All results of one batch, in bytes of JSON."
    )
    limit_batch_seconds: PositiveFloat = Field(
        default=12,
        description="Seconds of one batch after which the rest of its items is refused; less than "
        "the soft time limit of a task.",
    )
    limit_trial_seconds: PositiveFloat = Field(
        default=2,
        description="Seconds of the trial renders of a publish together. Translations that it "
        "takes over have as much once more, and 0.04 s for each.",
    )
    limit_partial_depth: PositiveInt = Field(
        default=10, description="Partials that use one another, one below the other."
    )
    limit_translations: PositiveInt = Field(default=200, description="Translations of one version.")
    limit_render_seconds: PositiveFloat = Field(
        default=1.0, description="Wall-clock seconds of one render."
    )
    limit_render_memory_mb: Annotated[int, Field(ge=64)] = Field(
        default=256, description="Address space of the render process, in MiB."
    )

    purge_after_days: NonNegativeInt = Field(
        default=30, description="Days after which a soft-deleted template is deleted for good."
    )
    keep_versions: PositiveInt = Field(
        default=10, description="Newest versions kept of each template, beside the current one."
    )
    maintenance_batch: PositiveInt = Field(
        default=500, description="Rows that one transaction of a cleanup deletes at the most."
    )
    keep_records_days: PositiveInt = Field(
        default=30,
        description="Days that idempotency records and dead letters are kept; longer than any "
        "message may be delivered again.",
    )
    dead_letters_max: PositiveInt = Field(
        default=100_000,
        description="Dead letters kept on Redis; over it the oldest are dropped and reported.",
    )
    # A letter is 3 to 4 times the size of its message. Redis has to hold them beside the queues,
    # and one that is full refuses every producer.
    dead_letters_max_bytes: PositiveInt = Field(
        default=256 * 1024 * 1024,
        description="The same in bytes: a flood of bad messages must not fill the broker.",
    )
    dead_letters_alarm_days: PositiveInt = Field(
        default=3,
        description="Days after which the doctor warns of the oldest dead letter.",
    )
    postgres_programs: str = Field(
        default="",
        description="Folder of PostgreSQL's programs, as new as the server. Empty: those installed "
        "with this service.",
    )
    scratch_directory: str = Field(
        default="",
        description="Folder for restore drills and dumps under way, with room for the database. "
        "Empty: the system's for temporary files.",
    )
    backup_target: str = Field(
        default="backups",
        description="Where dumps go: a folder, or object storage as s3://bucket/prefix.",
    )
    backup_recipients_file: str = Field(
        default="",
        description="File of age recipients, one a line, to whom dumps are encrypted. Empty: they "
        "are not.",
    )
    backup_identity_file: str = Field(
        default="",
        description="File of the age identity that reads them, for drills and restores.",
    )
    backup_keep_days: PositiveInt = Field(default=7, description="Days that dumps are kept.")
    backup_keep_verified: PositiveInt = Field(
        default=3, description="Verified dumps that are kept whatever their age."
    )
    backup_alarm_days: PositiveInt = Field(
        default=8,
        description="Days after which the doctor says that no dump was proved by a restore.",
    )
    recovery_directory: str = Field(
        default="recovery",
        description="Folder of base backups and archived WAL, for point-in-time recovery; the "
        "server's user writes to its folder wal.",
    )
    recovery_keep: PositiveInt = Field(
        default=4, description="Full base backups that are kept, with all that builds on them."
    )
    recovery_full_days: PositiveInt = Field(
        default=28,
        description="Days after which maintenance.base_backup takes a full base backup again, "
        "instead of an incremental one (PostgreSQL 17 and newer).",
    )
    metrics_file: str = Field(
        default="",
        description="File that maintenance.report writes for Prometheus's textfile collector. "
        "Empty: none.",
    )
    schedule_backup: Cron = Field(
        default="0 2 * * *", description="When maintenance.backup runs, in UTC."
    )
    schedule_verify_backup: Cron = Field(
        default="0 4 * * 0", description="When maintenance.verify_backup runs, in UTC."
    )
    schedule_base_backup: Cron = Field(
        default="0 1 * * 0", description="When maintenance.base_backup runs, in UTC."
    )
    schedule_analyze: Cron = Field(
        default="30 2 * * *", description="When maintenance.analyze runs, in UTC."
    )
    schedule_vacuum: Cron = Field(
        default="0 3 * * 0", description="When maintenance.vacuum runs, in UTC."
    )
    schedule_purge_templates: Cron = Field(
        default="15 3 * * *", description="When maintenance.purge_templates runs, in UTC."
    )
    schedule_prune_versions: Cron = Field(
        default="45 3 * * *", description="When maintenance.prune_versions runs, in UTC."
    )
    schedule_reindex: Cron = Field(
        default="0 5 1 * *", description="When maintenance.reindex runs, in UTC."
    )
    schedule_prune_records: Cron = Field(
        default="30 4 * * *", description="When maintenance.prune_records runs, in UTC."
    )
    schedule_report: Cron = Field(
        default="* * * * *", description="When maintenance.report runs, in UTC."
    )
    heartbeat_file: str = Field(
        default="",
        description="File that a worker touches every 5 seconds while it gets on with messages, "
        "and beat once a minute, for health checks. Empty: none.",
    )

    @field_validator("database_url")
    @classmethod
    def _database_scheme(cls, value: SecretStr) -> SecretStr:
        _require_database(value)
        return value

    @field_validator("maintenance_database_url")
    @classmethod
    def _maintenance_scheme(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value():
            _require_database(value)
        return value

    @field_validator("broker_url")
    @classmethod
    def _broker_scheme(cls, value: SecretStr) -> SecretStr:
        _require_url(value, BROKER_SCHEMES)
        return value

    @field_validator("result_backend")
    @classmethod
    def _result_scheme(cls, value: SecretStr) -> SecretStr:
        _require_url(value, RESULT_SCHEMES)
        return value

    @field_validator("callbacks")
    @classmethod
    def _callbacks_pattern(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"a regular expression was expected: {error}") from error
        return value

    @model_validator(mode="after")
    def _time_limits_fit(self) -> Self:
        # A message that outlives the visibility timeout is handed out again while it still runs.
        longest = max(self.task_time_limit, self.maintenance_time_limit)
        if longest * 2 >= self.visibility_timeout:
            raise ValueError(
                f"{PREFIX}VISIBILITY_TIMEOUT must be more than twice the longest time limit "
                f"({longest} s)"
            )
        if self.task_soft_time_limit >= self.task_time_limit:
            raise ValueError(
                f"{PREFIX}TASK_SOFT_TIME_LIMIT must be less than {PREFIX}TASK_TIME_LIMIT"
            )
        # A message that is cut off by its time limit would be tried again, as long each time.
        if self.limit_batch_seconds + self.limit_render_seconds >= self.task_soft_time_limit:
            raise ValueError(
                f"{PREFIX}LIMIT_BATCH_SECONDS and {PREFIX}LIMIT_RENDER_SECONDS together must be "
                f"less than {PREFIX}TASK_SOFT_TIME_LIMIT"
            )
        trials = 2 * self.limit_trial_seconds + SECONDS_OF_EACH * self.limit_translations
        if trials + 2 * self.limit_render_seconds >= self.task_soft_time_limit:
            raise ValueError(
                f"{PREFIX}LIMIT_TRIAL_SECONDS and {PREFIX}LIMIT_RENDER_SECONDS, each twice, and "
                f"{SECONDS_OF_EACH} s for each of {PREFIX}LIMIT_TRANSLATIONS together must be less "
                f"than {PREFIX}TASK_SOFT_TIME_LIMIT"
            )
        return self

    @property
    def limits(self) -> Limits:
        """The limits of section "Limits" in docs/messages.md, as the tasks take them."""
        return Limits(
            body_bytes=self.limit_body_bytes,
            subject_bytes=self.limit_subject_bytes,
            variables_bytes=self.limit_variables_bytes,
            output_bytes=self.limit_output_bytes,
            message_bytes=self.limit_message_bytes,
            batch_bytes=self.limit_batch_bytes,
            batch_items=self.limit_batch_items,
            batch_output_bytes=self.limit_batch_output_bytes,
            batch_seconds=self.limit_batch_seconds,
            trial_seconds=self.limit_trial_seconds,
            partial_depth=self.limit_partial_depth,
            translations=self.limit_translations,
            render_seconds=self.limit_render_seconds,
            render_memory_bytes=self.limit_render_memory_mb * 1024 * 1024,
        )


def _require_url(value: SecretStr, schemes: tuple[str, ...]) -> None:
    try:
        parts = urlsplit(value.get_secret_value())
    except ValueError as error:
        raise ValueError("a URL was expected") from error
    if parts.scheme not in schemes:
        raise ValueError(f"a URL that begins with one of {', '.join(schemes)} was expected")


def _require_database(value: SecretStr) -> None:
    _require_url(value, DATABASE_SCHEMES)
    try:
        connection_options(value.get_secret_value())
    except ArgumentError as error:
        raise ValueError(str(error)) from None


def environment_name(field: str) -> str:
    """Return the environment variable of a setting's field name."""
    alias = Settings.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return f"{PREFIX}{field}".upper()


def explain(error: ValidationError) -> str:
    """Return one line for each wrong setting: its name, and what was expected.

    The values stay out of it: a URL holds a password.
    """
    lines = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        field = str(problem["loc"][0]) if problem["loc"] else ""
        names = {environment_name(name): name for name in Settings.model_fields}
        name = field if field in names else environment_name(field) if field else "settings"
        wanted = names.get(name, field)
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "missing" and wanted in Settings.model_fields:
            message = f"is not set: {Settings.model_fields[wanted].description}"
        lines.append(f"{name}: {message}")
    return "\n".join(lines)


@lru_cache(maxsize=1)
def load() -> Settings:
    """Return the settings of this process's environment.

    Raises
    ------
    SettingsError
        Naming each wrong setting and what was expected.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(f"template-service cannot start:\n{explain(error)}") from None
