"""Refused messages: answer the producer, then make the message a dead letter.

In this order, and each step until it succeeds: a message stays in hand while the result backend or
the broker fails, so that neither the answer nor the message is lost. Dead letters for RabbitMQ are
sent by :class:`worker.node.letter_sender.LetterSender`.
"""

import logging
import re
import time
import traceback
from collections import deque
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from tasks.events import log_event
from worker import dead_letters, outcomes
from worker.dead_letters import letter_of_raw
from worker.metrics import prometheus_counts
from worker.node.letter_sender import AGAIN_SECONDS, LetterSender
from worker.node.refused import Refused
from worker.transport import Bounds, Channel

logger = logging.getLogger(__name__)

AT_ONCE: Final = 100
"""Messages whose answers or dead letters are sent together."""
_NAMES: Final = re.compile("""['"].*['"]""", re.DOTALL)
SERVER_ERRORS: Final = (RedisError, OSError, OperationalError)
"""Errors of the clients of broker and result backend for a failed request."""


def error_location(error: BaseException) -> str:
    """Return the type and the traceback's last lines of an error, for the log.

    Without its message, which may contain a producer's values.
    """
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
    return f"{type(error).__name__} at {places}"


class Refusals:
    """Queue of a consumer's refused messages."""

    def __init__(self, app: Any, hub: Any, bounds: Bounds) -> None:  # noqa: ANN401 - Celery and kombu have no types
        self._app = app
        self._hub = hub
        self._bounds = bounds
        self._sender = LetterSender(app, hub)
        self._waiting: deque[Refused] = deque()
        self._is_scheduled = False
        self._is_failing = False
        self._not_before = 0.0

    def add(self, refused: Refused) -> None:
        """Answer and dead-letter a message, with others of this iteration of the event loop."""
        # The id was checked: an invalid one is None. Names in callbacks are the producer's values.
        log_event(
            logger,
            "dead_letter",
            level=logging.ERROR,
            task=refused.task,
            id=refused.task_id,
            kind=refused.kind,
            reason=_NAMES.sub("'...'", refused.reason),
        )
        outcomes.count(refused.task or outcomes.UNKNOWN, outcomes.DEAD_LETTERS)
        prometheus_counts.dead_letter(refused.kind)
        self._waiting.append(refused)
        self._schedule(0)

    def clear(self) -> None:
        """Drop all waiting messages: the connection is lost, and they are redelivered."""
        self._waiting.clear()
        self._sender.clear()

    def work_off(self) -> None:
        """Answer and dead-letter waiting messages; retry those that a server does not accept."""
        if time.monotonic() < self._not_before:
            return
        self._is_scheduled = False
        while self._waiting:
            some = list(islice(self._waiting, AT_ONCE))
            try:
                self._answer(some)
                self._move(some)
            except SERVER_ERRORS as error:
                if not self._is_failing:
                    logger.warning("Dead letters wait for a server: %s", error)
                self._is_failing = True
                self._schedule(AGAIN_SECONDS)
                self._not_before = time.monotonic() + AGAIN_SECONDS / 2
                return
            self._is_failing = False
            for _ in some:
                self._waiting.popleft()

    def _schedule(self, seconds: float) -> None:
        if self._is_scheduled:
            return
        self._is_scheduled = True
        if self._hub is None:
            self.work_off()
        elif seconds:
            self._hub.call_later(seconds, self.work_off)
        else:
            self._hub.call_soon(self.work_off)

    def _answer(self, refused: Sequence[Refused]) -> None:
        answers = {
            each.task_id: each.error
            for each in refused
            if each.task_id is not None and each.error is not None
        }
        if answers:
            self._app.backend.store_failures(answers)
        for each in refused:
            each.error = None

    def _move(self, refused: Sequence[Refused]) -> None:
        by_channel: dict[Any, list[Refused]] = {}
        for each in refused:
            by_channel.setdefault(each.channel, []).append(each)
        for channel, some in by_channel.items():
            if isinstance(channel, Channel):
                self._replace(channel, some)
            else:
                for each in some:
                    self._sender.add(each)

    def _replace(self, channel: Channel, refused: Sequence[Refused]) -> None:
        """Replace held messages by their dead letters, in one step on the server."""
        letters = []
        for each in refused:
            if (taken := channel.taken(each.tag)) is not None:
                letter = letter_of_raw(
                    each.description,
                    taken.raw,
                    taken.list,
                    task_id=each.task_id,
                    problems=each.problems,
                )
                letters.append((each.tag, letter))
        dropped = channel.move_to_dead_letters(letters, self._bounds)
        if dropped:
            dead_letters.report_dropped(dropped)
