"""Waiting for a message on a list, without taking it."""

import logging
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import redis
from redis.exceptions import NoScriptError

from worker.transport.held import has_other_type

if TYPE_CHECKING:
    from worker.transport.held import Taken
    from worker.transport.holder import Holder

logger = logging.getLogger(__name__)

OTHER_TYPE_SECONDS: Final = 1.0
"""Pause before a key that is not a list is peeked at again."""


class Peek:
    """Waits for a message on a list. BLMOVE from a list's end to the same end changes nothing.

    Its reply, which is the message, is turned off, and the length of the list asked in its place.
    The script that takes a message can be sent with it, and the server runs it after the wait. So
    an idle consumer gets a message without another round trip.

    Parameters
    ----------
    key
        The list.
    priorities
        The lists of its queue, from which a message is taken.
    """

    def __init__(
        self,
        pool: redis.ConnectionPool,
        holder: "Holder",
        key: str,
        priorities: list[list[str]],
    ) -> None:
        self._pool = pool
        self._holder = holder
        self._key = key
        self._seconds = 0.0
        self._priorities = priorities
        self._connection = pool.get_connection()
        self._connection.send_command("CLIENT", "REPLY", "ON")  # type: ignore[no-untyped-call]
        self._may_be_silent = not isinstance(self._read(), redis.ResponseError)
        self._sent: float | None = None
        self._rests_until = 0.0
        self._expected: str | None = None

    @property
    def is_armed(self) -> bool:
        """Whether a reply is pending."""
        return self._sent is not None

    @property
    def is_resting(self) -> bool:
        """Whether its key was no list a moment ago."""
        return time.monotonic() < self._rests_until

    @property
    def takes(self) -> bool:
        """Whether the reply may contain a message."""
        return self._expected is not None

    @property
    def socket(self) -> Any:  # noqa: ANN401 - redis-py's socket
        """The socket of the reply, for the event loop to watch."""
        return self._connection._sock  # noqa: SLF001 - see private_names.txt

    def arm(self, seconds: float, *, takes: bool) -> None:
        """Send the blocking command and, if ``takes``, the script that takes a message.

        The server waits for ``seconds``.
        """
        self._seconds = seconds
        commands: list[Any] = [("BLMOVE", self._key, self._key, "RIGHT", "RIGHT", seconds)]
        if self._may_be_silent:
            commands = [("CLIENT", "REPLY", "OFF"), *commands, ("CLIENT", "REPLY", "ON")]
        commands.append(("LLEN", self._key))
        if takes:
            command, self._expected = self._holder.expect(self._priorities)
            commands.append(command)
        self._connection.send_packed_command(self._connection.pack_commands(commands))  # type: ignore[no-untyped-call]
        self._sent = time.monotonic()

    def read(self) -> "Arrival":
        """Read the reply."""
        waited = time.monotonic() - (self._sent or 0.0)
        self._sent = None
        taken: list[Taken] | None = None
        try:
            self._read()  # of turning replies on or, without the right to do so, the message
            replies = [self._read()]
            if self.takes:
                replies.append(self._read())
                if not isinstance(replies[1], redis.ResponseError):
                    taken = self._holder.server.read(replies[1])
        finally:
            self._give_up()
        if has_other_type(replies[0]):
            if not self._rests_until:
                logger.error(
                    "No messages of a queue are taken: its key %s is not a list", self._key
                )
            self._rests_until = time.monotonic() + OTHER_TYPE_SECONDS
            replies[0] = None
        else:
            self._rests_until = 0.0
        if not taken:
            for reply in replies:
                # A restarted server has no scripts; the next take loads them.
                if isinstance(reply, redis.ResponseError) and not isinstance(reply, NoScriptError):
                    raise reply
        return Arrival(bool(replies[0]), taken, waited)

    def is_overdue(self, now: float, timeout: float) -> bool:
        """Return whether the reply is more than ``timeout`` seconds late."""
        return self._sent is not None and now - self._sent > self._seconds + timeout

    def close(self) -> None:
        """Abandon the reply and close the connection."""
        self._sent = None
        self._give_up()
        self._connection.disconnect()  # type: ignore[no-untyped-call]
        self._pool.release(self._connection)

    def _read(self) -> Any:  # noqa: ANN401 - any reply
        """Return the next reply; return errors too, since another reply may follow."""
        try:
            return self._connection.read_response()
        except redis.ResponseError as error:
            return error

    def _give_up(self) -> None:
        if self._expected is not None:
            self._holder.unexpect(self._expected)
            self._expected = None


class Arrival(NamedTuple):
    """The reply to a peek.

    Attributes
    ----------
    is_there
        Whether there was a message on the list.
    taken
        The taken messages; None if the peek did not take.
    waited
        Seconds between request and reply.
    """

    is_there: bool
    taken: list["Taken"] | None
    waited: float
