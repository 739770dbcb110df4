"""List, find, count, delete, replay and prune dead letters."""

import logging
from collections.abc import Container, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from kombu import Connection

from db.errors import Kind, OperationError
from tasks.broker import DeadLetterFigures
from tasks.events import log_event
from worker.dead_letters.letter import DeadLetter
from worker.dead_letters.queue import opened
from worker.transport.held import Bounds
from worker.transport.letters import PAGE, PAGE_BYTES

logger = logging.getLogger(__name__)


@contextmanager
def browsed(connection: Connection) -> Iterator[Iterator[DeadLetter]]:
    """Yield an iterator of all dead letters, the oldest first, with one page in memory."""
    with opened(connection) as source:
        yield source.oldest_first()


def ids(connection: Connection) -> list[str]:
    """Return the ids of all dead letters."""
    with browsed(connection) as every:
        return [letter.id for letter in every]


def find(connection: Connection, letter_id: str) -> DeadLetter | None:
    """Return a dead letter; None if no letter has that id. It stays on the queue."""
    with browsed(connection) as every:
        return next((letter for letter in every if letter.id == letter_id), None)


def figures(connection: Connection) -> DeadLetterFigures:
    """Return number, size and age of the dead letters."""
    with opened(connection) as source:
        return source.figures()


def discard(connection: Connection, letter_ids: Container[str]) -> list[str]:
    """Delete letters; return the ids of those that still existed."""
    done = []
    with opened(connection) as source:
        every = source.oldest_first()
        for some in _groups(letter for letter in every if letter.id in letter_ids):
            existed = source.remove(some)
            done += [letter.id for letter, was in zip(some, existed, strict=True) if was]
    return done


def replay(
    connection: Connection, letter_ids: Container[str], queue: str | None = None
) -> list[str]:
    """Return messages to their queues unchanged, and delete their letters.

    On Redis that is one step. On RabbitMQ a letter is deleted after its message has been published;
    an interruption in between may replay the message twice.

    Parameters
    ----------
    queue
        Target queue, instead of the one that each message came from.

    Returns
    -------
    list
        Ids of the letters that existed.

    Raises
    ------
    OperationError
        ``no_queue``: the queue of a letter is unknown; ``queue_missing``: the broker does not have
        it. Letters before that one were replayed.
    """
    sent = []
    with opened(connection) as source:
        for letter in source.oldest_first():
            if letter.id not in letter_ids:
                continue
            target = queue or letter.queue
            if target is None or not letter.kept:
                raise OperationError(
                    "no_queue",
                    f"the queue of dead letter {letter.id} is unknown",
                    "pass --queue, or discard it",
                )
            if source.replay(letter, target):
                sent.append(letter.id)
    return sent


def prune(connection: Connection, days: int, bounds: Bounds | None = None, *, dry_run: bool) -> int:
    """Delete letters that are older than ``days`` days; return their number.

    A letter without a time stays until it is discarded by hand. Afterwards the oldest letters over
    ``bounds`` are dropped, as workers do whenever they add one.

    Raises
    ------
    OperationError
        ``broker_away``
    """
    limit = datetime.now(UTC) - timedelta(days=days)
    pruned = 0
    try:
        with opened(connection) as source:
            every = source.oldest_first()
            old = (letter for letter in every if letter.kept_at and letter.kept_at < limit)
            if dry_run:
                return sum(1 for _ in old)
            for some in _groups(old):
                pruned += sum(source.remove(some))
            if bounds is not None:
                report_dropped(source.trim(bounds))
    except connection.recoverable_connection_errors as error:
        raise OperationError(
            Kind.BROKER_AWAY, "the broker did not answer", "retry when it does"
        ) from error
    return pruned


def report_dropped(count: int) -> None:
    """Log how many letters were dropped because of the limits, if any."""
    if count:
        log_event(logger, "dead_letters_dropped", level=logging.ERROR, count=count)


def _groups(letters: Iterator[DeadLetter]) -> Iterator[list[DeadLetter]]:
    """Yield letters in groups, each small enough for one request to the server."""
    some: list[DeadLetter] = []
    size = 0
    for letter in letters:
        some.append(letter)
        size += letter.size
        if len(some) == PAGE or size > PAGE_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some
