"""List, find, count, delete, replay and prune dead letters."""

import logging
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from kombu import Connection

from db.errors import OperationError
from tasks.events import log_event
from worker.dead_letters.letter import DeadLetter
from worker.dead_letters.queue import QueuedLetter, body_of, opened
from worker.dead_letters.replay import replayed_message
from worker.transport.held import Bounds
from worker.transport.letters import PAGE, PAGE_BYTES

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Figures:
    """How many dead letters there are.

    Attributes
    ----------
    size
        Bytes; None where the broker does not tell.
    oldest
        When the oldest letter became one; None without any, and where the broker does not tell.
    dropped
        How many were ever dropped over the bounds; None where the broker does not tell.
    dropped_at
        When one was dropped last.
    """

    count: int
    size: int | None
    oldest: datetime | None
    dropped: int | None
    dropped_at: datetime | None


@contextmanager
def browsed(connection: Connection) -> Iterator[Iterator[DeadLetter]]:
    """Yield all dead letters, the oldest first, a page of them in memory at a time."""
    with opened(connection) as source:
        yield map(DeadLetter.of, source.oldest_first())


def letters(connection: Connection, most: int) -> list[DeadLetter]:
    """Return the ``most`` oldest dead letters, the oldest first. They stay where they are."""
    with browsed(connection) as every:
        return list(islice(every, most))


def ids(connection: Connection) -> list[str]:
    """Return the ids of all dead letters."""
    with browsed(connection) as every:
        return [letter.id for letter in every]


def find(connection: Connection, letter_id: str) -> DeadLetter | None:
    """Return a letter, which stays where it is."""
    with browsed(connection) as every:
        return next((letter for letter in every if letter.id == letter_id), None)


def figures(connection: Connection) -> Figures:
    """Return how many dead letters there are, and since when."""
    is_redis = connection.transport.driver_type == "redis"
    with opened(connection) as source:
        found = source.figures()
    oldest = None
    if found.oldest is not None:
        oldest = DeadLetter.of(QueuedLetter(body_of(found.oldest), None)).kept_at
    return Figures(
        count=found.count,
        size=found.size,
        oldest=oldest,
        dropped=found.dropped if is_redis else None,
        dropped_at=found.dropped_at,
    )


def discard(connection: Connection, chosen: Container[str]) -> list[str]:
    """Delete letters; return the ids of those that were still there."""
    done = []
    with opened(connection) as source:
        every = map(DeadLetter.of, source.oldest_first())
        for some in _groups(letter for letter in every if letter.id in chosen):
            were_there = source.take_out([letter.queued for letter in some])
            done += [letter.id for letter, was in zip(some, were_there, strict=True) if was]
    return done


def replay(connection: Connection, chosen: Container[str], queue: str | None = None) -> list[str]:
    """Put messages back on their queues, as they came, and take out their letters.

    On Redis that is one step. On RabbitMQ a letter is taken out once its message is on its queue;
    whoever is interrupted in between may replay it again.

    Parameters
    ----------
    queue
        In place of the one that each message came from.

    Returns
    -------
    list
        Ids of the letters that were there.

    Raises
    ------
    OperationError
        ``no_queue``: nobody knows where a letter came from; ``queue_missing``: the broker does not
        take it. Those before it were replayed.
    """
    sent = []
    with opened(connection) as source:
        for letter in map(DeadLetter.of, source.oldest_first()):
            if letter.id in chosen:
                message = replayed_message(connection, letter, queue or letter.queue)
                if source.replay(letter.queued, message):
                    sent.append(letter.id)
    return sent


def prune(connection: Connection, days: int, bounds: Bounds | None = None, *, dry_run: bool) -> int:
    """Delete the letters that were kept more than ``days`` days ago; return how many there were.

    A letter that does not say since when it is here stays until somebody discards it. Then the
    oldest over ``bounds`` are dropped, which workers do as well when they add one.

    Raises
    ------
    OperationError
        ``broker_away``
    """
    limit = datetime.now(UTC) - timedelta(days=days)
    pruned = 0
    try:
        with opened(connection) as source:
            every = map(DeadLetter.of, source.oldest_first())
            old = (letter for letter in every if letter.kept_at and letter.kept_at < limit)
            if dry_run:
                return sum(1 for _ in old)
            for some in _groups(old):
                pruned += sum(source.take_out([letter.queued for letter in some]))
            if bounds is not None:
                report_dropped(source.trim(bounds))
    except connection.recoverable_connection_errors as error:
        raise OperationError(
            "broker_away", "the broker did not answer", "run it again when it does"
        ) from error
    return pruned


def report_dropped(count: int) -> None:
    """Log that letters were dropped over the bounds, if any were."""
    if count:
        log_event(logger, "dead_letters_dropped", level=logging.ERROR, count=count)


def _groups(found: Iterator[DeadLetter]) -> Iterator[list[DeadLetter]]:
    """Yield letters in groups, each of which fits into one message to the server."""
    some: list[DeadLetter] = []
    size = 0
    for letter in found:
        some.append(letter)
        size += len(letter.queued.body)
        if len(some) == PAGE or size > PAGE_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some
