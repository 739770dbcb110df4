"""Every setting of the service: type, default, bounds, meaning, and the reason for the default.

Settings come from the environment only. ``DATABASE_URL``, ``CELERY_BROKER_URL`` and
``CELERY_RESULT_BACKEND`` keep the names every Celery user knows; all others begin with
``TEMPLATE_SERVICE_``. ``.env.example`` lists them with the same descriptions.

A group of settings is a policy: a dataclass in the layer that uses it, with its defaults there
(``DB_``: :class:`db.addresses.Connections`, ``LIMIT_``: :class:`tasks.rendering.limits.Limits`,
``BACKUP_``: :mod:`db.backup.policy`, ``RECOVERY_``: :mod:`db.recovery.policy`, others:
:mod:`tasks.configuration`). Policies are plain dataclasses because the render process imports one
and must not load pydantic; pydantic checks them here by the bounds in their annotations. The text
in an annotation is the setting's description.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, Self, get_args, get_type_hints

from annotated_types import Interval
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from db.addresses import Connections
from db.bounds import BYTES, COUNT, DAYS
from tasks.configuration import Housekeeping, Operations, RetryPolicy
from tasks.jobs import JOBS
from tasks.messages.fields import LanguageCode
from tasks.rendering.limits import (
    BATCH_SHARE,
    SECONDS_OF_EACH,
    SOFT_TIME_LIMIT,
    TRIAL_SHARE,
    Limits,
)
from worker.setting_types import (
    Address,
    BrokerUrl,
    Cron,
    DatabaseUrl,
    OptionalDatabaseUrl,
    Pattern,
    ResultUrl,
)

PREFIX: Final = "TEMPLATE_SERVICE_"
Path = tuple[str, ...]


class SettingsError(SystemExit):
    """Invalid settings: the start fails with a line for each, and exit status 1."""


Count = Annotated[int, COUNT]
QueueType = Literal["classic", "quorum"]
LogFormat = Literal["text", "json"]


class Settings(BaseModel):
    """All settings, checked.

    Raises
    ------
    pydantic.ValidationError
        Naming every wrong setting. :func:`load` turns it into :class:`SettingsError`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    database_url: Annotated[
        DatabaseUrl,
        "PostgreSQL 15 or newer, as postgresql://user:password@host:port/database. Of several "
        "hosts, as host1:port1,host2:port2, the one that takes writes is used.",
    ]
    maintenance_database_url: Annotated[
        OptionalDatabaseUrl,
        "Address of the database with a role that may maintain it, for maintenance.* and the "
        "commands. Empty: DATABASE_URL.",
    ] = SecretStr("")
    broker_url: Annotated[
        BrokerUrl,
        "The broker: redis, rediss, sentinel, amqp or amqps. Several nodes of one broker are "
        "separated by ;.",
    ]
    result_backend: Annotated[
        ResultUrl,
        "Where answers are kept until producers fetch them: redis, rediss, sentinel.",
    ]

    broker_key_prefix: Annotated[
        str,
        "Prefix of all keys of the broker, on a Redis that others use too; producers set the "
        "same as global_keyprefix. Not for RabbitMQ.",
    ] = ""
    # The name in the examples of Redis's own sentinel.conf.
    sentinel_master: Annotated[
        str, "Name of the primary that the sentinels of sentinel:// watch."
    ] = "mymaster"
    sentinel_password: Annotated[
        SecretStr, "Password of the sentinels themselves. Empty: none."
    ] = SecretStr("")

    default_language: Annotated[
        LanguageCode,
        "Language of a version's own text when its metadata.language says nothing.",
    ] = "en"
    callbacks: Annotated[
        Pattern,
        "Regular expression of the task names that link, chain and chord may call; "
        "maintenance.* never may.",
    ] = r".*"
    remote_control: Annotated[
        bool,
        "Celery's remote control. Flower and inspect need it; with it, anyone who may write to "
        "the broker can stop workers.",
    ] = True

    db: Connections = Field(default_factory=Connections)
    task_soft_time_limit: Annotated[
        Count, "Seconds after which a task is interrupted and tried again."
    ] = SOFT_TIME_LIMIT
    # Half as long again: an interrupted task first ends its statement and its connection.
    task_time_limit: Annotated[
        Count, "Seconds after which the process of a stuck task is replaced."
    ] = 30
    # Less than half of the visibility timeout, and less than the 30 minutes of RabbitMQ.
    maintenance_time_limit: Annotated[
        int,
        Interval(ge=120, le=2**31 - 1),
        "Seconds after which a maintenance.* task other than a backup is interrupted. It is not "
        "retried.",
    ] = 1700
    visibility_timeout: Annotated[
        Count,
        "Seconds after which Redis hands an unacknowledged message to another worker; more "
        "than twice every time limit.",
    ] = 3600
    # Celery's producers declare the queues that they send to, without arguments, and RabbitMQ
    # refuses a declaration that differs from the queue. So by default both are the same.
    queue_type: Annotated[
        QueueType,
        "RabbitMQ only: type of the queues that a worker creates. classic: without arguments, "
        "as Celery's producers declare them. quorum: replicated in a cluster; see "
        "docs/messages.md for producers.",
    ] = "classic"
    # RabbitMQ 4 has the same default.
    delivery_limit: Annotated[
        Count,
        "Quorum queues only: times that a message may come back unacknowledged, because its "
        "worker or connection died, before it is a dead letter.",
    ] = 20
    retry: RetryPolicy = Field(default_factory=RetryPolicy)
    # Celery's own default of worker_prefetch_multiplier. Enough that a process never waits for the
    # broker between two renders of 1 ms; few enough that at most 4 others wait behind a slow one.
    prefetch: Annotated[Count, "Messages that each pool process may reserve ahead."] = 4
    result_expires: Annotated[Count, "Seconds that an answer is kept in the result backend."] = (
        86_400
    )

    limits: Limits = Field(default_factory=Limits)
    housekeeping: Housekeeping = Field(default_factory=Housekeeping)
    dead_letters_max: Annotated[
        Count,
        "Dead letters kept on Redis; over it the oldest are dropped and reported.",
    ] = 100_000
    # A dead letter is 3 to 4 times the size of its message. Redis holds them next to the queues,
    # and a full Redis refuses every producer.
    dead_letters_max_bytes: Annotated[
        int,
        BYTES,
        "Bytes of dead letters kept on Redis; over it the oldest are dropped and reported.",
    ] = 256 * 1024 * 1024
    # Long enough that a weekend without operators does not raise it.
    dead_letters_alarm_days: Annotated[
        int, DAYS, "Days after which the doctor warns of the oldest dead letter."
    ] = 3
    operations: Operations = Field(default_factory=Operations)
    schedule: dict[str, Cron] = Field(default_factory=lambda: {job.name: job.cron for job in JOBS})
    """Cron schedule of each maintenance job, in UTC."""
    log_format: Annotated[
        LogFormat,
        "Format of the log on standard error: text, or json, one object a line.",
    ] = "text"
    # Off: it has no authentication, and a port can be used once on a machine that may run several
    # workers and beat.
    metrics_address: Annotated[
        Address,
        "HOST:PORT on which a worker and beat serve /metrics and /healthz over HTTP, such as "
        "127.0.0.1:9808; :9808 is every host. Empty: none.",
    ] = ""
    heartbeat_file: Annotated[
        str,
        "File that a worker touches every 5 seconds while it gets on with messages, and beat "
        "once a minute, for health checks. Empty: none.",
    ] = ""

    @property
    def maintenance_time_limits(self) -> dict[str, int]:
        """Time limit of each maintenance job, in seconds."""
        backup, other = self.operations.backup.time_limit, self.maintenance_time_limit
        return {job.name: backup if job.is_backup else other for job in JOBS}

    @model_validator(mode="after")
    def _maintenance_needs_a_session(self) -> Self:
        if self.db.transaction_pooler and not self.maintenance_database_url.get_secret_value():
            raise ValueError(
                f"{PREFIX}DB_TRANSACTION_POOLER needs {PREFIX}MAINTENANCE_DATABASE_URL: dumps and "
                "maintenance connect to PostgreSQL itself"
            )
        return self

    @model_validator(mode="after")
    def _time_limits_fit(self) -> Self:
        # After the visibility timeout workers with kombu's own transport deliver a message again,
        # even if it still runs. A second backup is skipped while the first one runs.
        longest = max(self.task_time_limit, self.maintenance_time_limit)
        if longest * 2 >= self.visibility_timeout:
            raise ValueError(
                f"{PREFIX}VISIBILITY_TIMEOUT must be more than twice the longest time limit "
                f"({longest} s)"
            )
        soft = self.task_soft_time_limit
        if soft >= self.task_time_limit:
            raise ValueError(
                f"{PREFIX}TASK_SOFT_TIME_LIMIT must be less than {PREFIX}TASK_TIME_LIMIT"
            )
        # A message interrupted by its time limit would be retried, for as long each time.
        render = self.limits.render_seconds
        if BATCH_SHARE * soft + render >= soft:
            raise ValueError(
                f"{PREFIX}LIMIT_RENDER_SECONDS must be less than {1 - BATCH_SHARE:.0%} of "
                f"{PREFIX}TASK_SOFT_TIME_LIMIT"
            )
        trials = 2 * TRIAL_SHARE * soft + SECONDS_OF_EACH * self.limits.translations
        if trials + 2 * render >= soft:
            raise ValueError(
                f"{PREFIX}LIMIT_RENDER_SECONDS twice and {SECONDS_OF_EACH} s for each of "
                f"{PREFIX}LIMIT_TRANSLATIONS together must be less than {1 - 2 * TRIAL_SHARE:.0%} "
                f"of {PREFIX}TASK_SOFT_TIME_LIMIT"
            )
        return self


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable.

    Attributes
    ----------
    path
        Names of the fields that lead to it from :class:`Settings`.
    default
        None for a required variable.
    """

    name: str
    path: Path
    description: str
    default: Any


_OWN_NAMES: Final[Mapping[Path, str]] = {
    ("database_url",): "DATABASE_URL",
    ("broker_url",): "CELERY_BROKER_URL",
    ("result_backend",): "CELERY_RESULT_BACKEND",
    ("retry", "most"): f"{PREFIX}MAX_RETRIES",
    ("retry", "longest"): f"{PREFIX}RETRY_BACKOFF_MAX",
    ("operations", "programs"): f"{PREFIX}POSTGRES_PROGRAMS",
    ("operations", "backup", "scratch"): f"{PREFIX}SCRATCH_DIRECTORY",
}
_GROUPS: Final[Mapping[Path, str]] = {
    ("db",): "DB_",
    ("limits",): "LIMIT_",
    ("housekeeping",): "",
    ("operations",): "",
    ("operations", "backup"): "BACKUP_",
    ("operations", "recovery"): "RECOVERY_",
}


def _variables() -> Iterator[Variable]:
    for name, field in Settings.model_fields.items():
        if name == "schedule":
            for job in JOBS:
                variable = f"{PREFIX}SCHEDULE_{job.key.upper()}"
                yield Variable(
                    variable, (name, job.name), f"When {job.name} runs, in UTC.", job.cron
                )
        elif isinstance(field.annotation, type) and is_dataclass(field.annotation):
            yield from _of_policy(field.annotation, (name,))
        else:
            (description,) = (item for item in field.metadata if isinstance(item, str))
            default = None if field.is_required() else field.default
            variable = _OWN_NAMES.get((name,), f"{PREFIX}{name}".upper())
            yield Variable(variable, (name,), description, default)


def _of_policy(policy: type, path: Path) -> Iterator[Variable]:
    hints = get_type_hints(policy, include_extras=True)
    for field in fields(policy):
        inner = (*path, field.name)
        if is_dataclass(hints[field.name]):
            yield from _of_policy(hints[field.name], inner)
            continue
        for description in get_args(hints[field.name]):
            if isinstance(description, str):
                name = _OWN_NAMES.get(inner) or f"{PREFIX}{_GROUPS[path]}{field.name}".upper()
                assert field.default is not MISSING  # noqa: S101 - a policy works without settings
                yield Variable(name, inner, description, field.default)


VARIABLES: Final[Mapping[str, Variable]] = {variable.name: variable for variable in _variables()}
_BY_PATH: Final = {variable.path: variable for variable in VARIABLES.values()}


def environment_name(*path: str) -> str:
    """Return the environment variable of a setting."""
    return _BY_PATH[path].name


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Return the settings of an environment.

    Raises
    ------
    SettingsError
        Naming each wrong setting and what was expected.
    """
    values: dict[str, Any] = {"schedule": {job.name: job.cron for job in JOBS}}
    for variable in VARIABLES.values():
        if variable.name in environment:
            group = values
            for step in variable.path[:-1]:
                group = group.setdefault(step, {})
            group[variable.path[-1]] = environment[variable.name]
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsError(f"template-service cannot start:\n{explain(error)}") from None


def explain(error: ValidationError) -> str:
    """Return one line for each invalid setting: its name, and the expected value.

    Values are omitted: a URL holds a password.
    """
    lines = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        path = tuple(str(step) for step in problem["loc"])
        variable = _BY_PATH.get(path)
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "missing" and variable is not None:
            message = f"is not set: {variable.description}"
        elif problem["type"] == "predicate_failed" and variable is not None:
            message = f"is not valid: {variable.description}"
        name = variable.name if variable is not None else ".".join(path) or "settings"
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
    return from_environment(os.environ)
