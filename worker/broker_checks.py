"""Checks of ``db doctor`` on the broker: dead letters, and reserved messages without progress."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from kombu import Connection

from db.monitoring.checks.finding import Finding
from db.units import age, counted, size
from worker import dead_letters
from worker.queues import CONSUMED, QueueName
from worker.reserved import inspected, records_holders
from worker.settings import Settings
from worker.transport.inspection import STOCK, Consumer, Inspection, Reserved, queue_of
from worker.unconsumed import unconsumed

_MARGIN: Final = timedelta(seconds=60)
"""Time in which a pool process is replaced, and a dead consumer's messages are returned."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Thresholds of the checks.

    Attributes
    ----------
    letter_age
        Age of the oldest dead letter, and of the last dropped one.
    held
        How long a live consumer may hold a message: each message reserved before it may run for
        its whole time limit.
    maintenance
        Addition to ``held`` for each maintenance message of the consumer, which occupies a process.
    unacked
        When Redis redelivers a message of a worker with kombu's own transport.
    """

    letter_age: timedelta
    held: timedelta
    maintenance: timedelta
    unacked: timedelta

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the thresholds that follow from time limits and prefetch count."""
        ahead = settings.prefetch + 1
        return cls(
            letter_age=timedelta(days=settings.dead_letters_alarm_days),
            held=timedelta(seconds=ahead * settings.task_time_limit) + _MARGIN,
            maintenance=timedelta(seconds=max(settings.maintenance_time_limits.values())),
            # kombu looks for them every 100 seconds, one worker at a time.
            unacked=timedelta(seconds=settings.visibility_timeout + 600),
        )


def examine(connection: Connection, thresholds: Thresholds) -> list[Finding]:
    """Run every check of the broker; the connection is closed."""
    with connection:
        try:
            findings = list(_letters(connection, thresholds, datetime.now(UTC)))
            findings += _unconsumed(unconsumed(connection) or {})
            if records_holders(connection):
                with inspected(connection) as inspection:
                    findings += _reserved(inspection, thresholds)
        except connection.connection_errors:
            return [
                Finding(
                    "broker_away",
                    "error",
                    "the broker does not answer",
                    "messages are neither sent nor processed",
                    "check CELERY_BROKER_URL, and whether the broker runs",
                )
            ]
        except connection.channel_errors as error:
            return [
                Finding(
                    "not_checked",
                    "notice",
                    f"the broker: {error}",
                    "messages without progress would not be noticed",
                    "run this with a CELERY_BROKER_URL whose user may read all keys and run "
                    "scripts",
                )
            ]
    return findings


def _letters(connection: Connection, thresholds: Thresholds, now: datetime) -> Iterator[Finding]:
    figures = dead_letters.figures(connection)
    dropped_at = figures.dropped_at or now
    if figures.dropped and now - dropped_at <= thresholds.letter_age:
        yield Finding(
            "dead_letters_dropped",
            "error",
            f"{counted(figures.dropped, 'dead letter')} dropped, the last "
            f"{_ago(now - dropped_at)} ago",
            "there were more than the limits allow, and the oldest messages are lost",
            "find who sends them: template-service dead-letters list; raise "
            "TEMPLATE_SERVICE_DEAD_LETTERS_MAX and _MAX_BYTES where the broker has room",
        )
    if not figures.count:
        return
    total = counted(figures.count, "dead letter")
    if figures.size:
        total += f" of {size(figures.size)}"
    seconds = figures.oldest_age_seconds
    since = None if seconds is None else timedelta(seconds=seconds)
    oldest = "" if since is None else f", the oldest since {_ago(since)}"
    is_old = since is not None and since > thresholds.letter_age
    yield Finding(
        "dead_letters_old" if is_old else "dead_letters",
        "warning" if is_old else "notice",
        f"{total}{oldest}",
        "each is a message that was not processed; it is deleted after "
        "TEMPLATE_SERVICE_KEEP_RECORDS_DAYS",
        "template-service dead-letters list, then replay or discard",
    )


def _unconsumed(queues: Mapping[str, int]) -> Iterator[Finding]:
    for name, count in queues.items():
        is_own = name in CONSUMED
        yield Finding(
            "queue_unconsumed",
            "warning",
            f"the queue {name} has {counted(count, 'task message')} and no consumer",
            "no worker consumes it"
            if is_own
            else "a producer named this queue, or none: Celery then sends to the queue celery",
            f"start a worker with -Q {name}"
            if is_own
            else "correct the producer, which names the queue of each task; then move the messages "
            "or delete the queue",
        )


def _reserved(inspection: Inspection, thresholds: Thresholds) -> Iterator[Finding]:
    now = inspection.now()
    consumers = inspection.consumers()
    has_live_one = any(each.is_alive for each in consumers)
    for consumer in consumers:
        if consumer.is_alive:
            yield from _stuck(inspection, consumer, thresholds, now)
        elif consumer.name == STOCK:
            yield from _unacked(inspection, consumer, thresholds, now)
        elif consumer.silent_since is None or now - consumer.silent_since > _MARGIN:
            yield from _abandoned(inspection, consumer, now, has_live_one=has_live_one)


def _stuck(
    inspection: Inspection, consumer: Consumer, thresholds: Thresholds, now: datetime
) -> Iterator[Finding]:
    held = 0
    oldest: datetime | None = None
    allowed = thresholds.held
    for message in inspection.reserved(consumer):
        held += 1
        if queue_of(message.list) == QueueName.MAINTENANCE:
            allowed += thresholds.maintenance
        elif (since := _due_since(message)) is not None and (oldest is None or since < oldest):
            oldest = since
    if oldest is not None and now - oldest > allowed:
        yield Finding(
            "reserved_without_progress",
            "error",
            f"{consumer.name} holds {counted(held, 'message')}, the oldest since "
            f"{_ago(now - oldest)}",
            "no task may take that long: the worker is connected and makes no progress",
            "restart that worker; template-service dead-letters reserved shows the messages",
        )


def _abandoned(
    inspection: Inspection, consumer: Consumer, now: datetime, *, has_live_one: bool
) -> Iterator[Finding]:
    held = sum(1 for _ in inspection.reserved(consumer))
    if not held:
        return
    silent = consumer.silent_since
    since = "" if silent is None else f" {_ago(now - silent)} ago"
    yield Finding(
        "reserved_by_dead",
        "error",
        f"{consumer.name} has died{since} with {counted(held, 'message')}",
        "workers return what a dead one held within seconds, and none has"
        if has_live_one
        else "no worker is alive that would return them to their queues",
        "template-service dead-letters return --all"
        if has_live_one
        else "start a worker, or: template-service dead-letters return --all",
    )


def _unacked(
    inspection: Inspection, consumer: Consumer, thresholds: Thresholds, now: datetime
) -> Iterator[Finding]:
    taken = [message.since for message in inspection.reserved(consumer)]
    old = [since for since in taken if since is not None and now - since > thresholds.unacked]
    if old:
        yield Finding(
            "unacked_not_returned",
            "warning",
            f"{counted(len(old), 'message')} taken by workers with kombu's own transport, the "
            f"oldest {_ago(now - min(old))} ago",
            "the visibility timeout has passed, and no worker has returned them",
            f"template-service dead-letters return {STOCK} --force",
        )


def _due_since(message: Reserved) -> datetime | None:
    """Return the time since which a message could have been run."""
    headers = dead_letters.parts_of(message.raw).get("headers")
    eta = headers.get("eta") if isinstance(headers, dict) else None
    if message.since is None or not isinstance(eta, str):
        return message.since
    try:
        due = datetime.fromisoformat(eta)
    except ValueError:
        return message.since
    return max(message.since, due if due.tzinfo else due.replace(tzinfo=UTC))


def _ago(since: timedelta) -> str:
    return age(max(0.0, since.total_seconds()))
