"""Operations on the messages that a consumer holds: take, release, put back, delay.

Each is one Lua script, so that a message is in exactly one place for every observer, and after a
crash.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

import redis

LEASE_SECONDS: Final = 4.0
"""How long a consumer keeps its messages without renewing its lease. Long enough for pauses of a
process on a busy machine; short enough that a dead worker's messages are taken again within 10 s,
including the sweep and the delay of a sweeper that has just started."""
RENEW_SECONDS: Final = 0.8
"""Interval of lease renewals: five fit into a lease, so four may be late or fail."""
LATE_SECONDS: Final = 2 * RENEW_SECONDS
"""A later renewal means that the server, the network or this process was stalled, or that a clock
jumped. Other consumers may have been stalled too, so no consumer is swept for the duration of one
lease after it."""
COUNTED_SECONDS: Final = 7 * 86_400
"""How long the number of a message's redeliveries is stored."""
DEAD_LETTERS: Final = "dead-letters"
"""List of the dead letters, without the prefix."""
MOST_ENTRY_BYTES: Final = 32 * 1024 * 1024
"""Size of an entry over which it becomes a dead letter on the server, without being fetched. Up to
it a dead letter takes about a second and a few hundred megabytes; with 200 MB it took longer than
the timeout of a connection, each time anew."""
ENOUGH_BYTES: Final = 16 * 1024 * 1024
"""Size of the messages in one reply after which no more are taken."""
MOST_AT_ONCE: Final = 500
"""Maximum number of messages that one script moves, since a script blocks the server."""


class Keys(NamedTuple):
    """Names of the keys on the server, all with the prefix of the transport's option."""

    prefix: str = ""

    @property
    def consumers(self) -> str:
        """Sorted set of consumers by the end of their lease, in ms of the server's clock."""
        return f"{self.prefix}unacked:consumers"

    @property
    def deliveries(self) -> str:
        """Hash from the SHA-1 of a message to the number of sweeps that put it back."""
        return f"{self.prefix}unacked:deliveries"

    @property
    def delayed(self) -> str:
        """Sorted set of messages by the time when they are due, in ms of the server's clock."""
        return f"{self.prefix}unacked:scheduled"

    @property
    def held_by(self) -> str:
        """Prefix of the key of each consumer's hash: from tag to time (ms), list and message."""
        return f"{self.prefix}unacked:held:"

    def figures(self, letters: str) -> str:
        """Return the hash of the figures of a list of dead letters."""
        return f"{self.prefix}{letters}:figures"


class Taken(NamedTuple):
    """A message taken from ``list``; ``raw`` is the list's entry, byte for byte.

    ``deliveries`` counts the consumers that died while they held it. ``moved`` is the size of an
    entry that was too large to be fetched: it is a dead letter now, and ``raw`` its ends.
    """

    tag: str
    list: str
    raw: bytes
    deliveries: int
    moved: int = 0


class Renewal(NamedTuple):
    """Result of a renewal of the lease.

    Attributes
    ----------
    was_held
        Whether the lease was still valid before.
    next_due
        Seconds until a delayed message is due, None without one.
    swept
        Number of messages put back, by dead consumer.
    is_on_time
        Whether it was on time by the server's clock; otherwise nothing is swept.
    """

    was_held: bool
    next_due: float | None
    swept: dict[str, int]
    is_on_time: bool = True


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of the dead letters: number, and size in bytes."""

    count: int
    size: int


class HeldMessages:
    """The messages of one consumer on the server.

    Parameters
    ----------
    client
        Without a key prefix of its own.
    keys
        Names of the keys.
    consumer
        Name of the consumer, unique among all processes and over time.
    lease
        Duration of the lease in seconds.
    most_bytes
        Size of an entry over which it becomes a dead letter without being fetched.

    Every method raises the client's errors. After an error it is unknown whether the server has
    executed it; :meth:`put_back_others` reconciles both sides.
    """

    def __init__(
        self,
        client: redis.Redis,
        keys: Keys,
        consumer: str,
        lease: float = LEASE_SECONDS,
        most_bytes: int = MOST_ENTRY_BYTES,
    ) -> None:
        self.keys = keys
        self.consumer = consumer
        self.lease = lease
        self._letters = [f"{keys.prefix}{DEAD_LETTERS}", keys.figures(DEAD_LETTERS)]
        self._most_bytes = most_bytes
        self._held = keys.held_by + consumer
        self._next_tag = 1
        self.use(client)

    def use(self, client: redis.Redis) -> None:
        """Switch to another client; tags continue, so that none is used twice."""
        self.client = client
        self._scripts = {name: client.register_script(source(name)) for name in SCRIPTS}

    def take(
        self, priorities: Sequence[Sequence[str]], most: int, released: Sequence[str] = ()
    ) -> list[Taken]:
        """Release finished messages, then take up to ``most`` from the lists.

        Parameters
        ----------
        priorities
            The lists of all queues, for each priority; the first priority is emptied first.
        most
            Maximum number of messages, 0 for none.
        released
            Tags of finished messages.
        """
        return self.read(self._run("take", *self._take_arguments(priorities, most, released)))

    def take_command(self, priorities: Sequence[Sequence[str]]) -> tuple[list[Any], str]:
        """Return the command that takes one message from the lists, and the message's tag.

        For callers that send commands and read replies themselves; :meth:`read` decodes the reply.
        A server that does not have the script replies ``NOSCRIPT``; :meth:`take` loads it.
        """
        keys, arguments = self._take_arguments(priorities, 1)
        tag = str(self._next_tag)
        self._next_tag += 1
        return ["EVALSHA", self._scripts["take"].sha, len(keys), *keys, *arguments], tag

    def read(self, reply: Sequence[Any]) -> list[Taken]:
        """Return the messages in a reply of the script that takes them."""
        return [
            Taken(
                str(reply[at]),
                reply[at + 1].decode()[len(self.keys.prefix) :],
                reply[at + 2],
                reply[at + 3],
                reply[at + 4],
            )
            for at in range(0, len(reply), 5)
        ]

    def _take_arguments(
        self, priorities: Sequence[Sequence[str]], most: int, released: Sequence[str] = ()
    ) -> tuple[list[str], list[Any]]:
        """Return the keys and the arguments of the script that takes messages."""
        lists = [f"{self.keys.prefix}{name}" for each in priorities for name in each]
        queues = len(priorities[0]) if priorities else 1
        return (
            [self.keys.consumers, self._held, self.keys.deliveries, *self._letters, *lists],
            [
                self.consumer,
                int(self.lease * 1000),
                most,
                self._next_tag,
                queues,
                self._most_bytes,
                ENOUGH_BYTES,
                *released,
            ],
        )

    def put_back(self, tags: Collection[str], *, is_next: bool) -> int:
        """Put messages back on their lists; return how many were still held.

        With ``is_next`` they are taken before the messages that wait there, otherwise after them.
        """
        place = "next" if is_next else "last"
        return sum(
            self._run("put_back", [self._held], ["named", place, *some]) for some in _groups(tags)
        )

    def put_back_others(self, known: Collection[str]) -> int:
        """Put back all held messages except the ``known`` tags; return their number."""
        return int(self._run("put_back", [self._held], ["others", "next", *known]))

    def delay(self, tag: str, seconds: float) -> bool:
        """Move a message to the delayed ones for ``seconds``; return whether it was still held."""
        name = f"{self.consumer}:{tag}"
        return bool(
            self._run("delay", [self._held, self.keys.delayed], [tag, int(seconds * 1000), name])
        )

    def move_to_dead_letters(self, letters: Sequence[tuple[str, bytes]], bounds: Bounds) -> int:
        """Replace messages by dead letters; return how many old letters were dropped.

        Parameters
        ----------
        letters
            Tag and letter of each message; none to apply the bounds only.
        """
        arguments: list[object] = ["add", bounds.count, bounds.size]
        for letter in letters:
            arguments += letter
        return int(self._run("letters", [*self._letters, self._held], arguments))

    def renew(self, *, sweeps: bool) -> Renewal:
        """Renew the lease, and put delayed messages that are due on their lists.

        With ``sweeps``, also put back the messages of dead consumers.
        """
        keys = [self.keys.consumers, self.keys.deliveries, self.keys.delayed]
        was_held, due, swept, on_time = self._run(
            "renew",
            keys,
            [
                self.consumer,
                int(self.lease * 1000),
                int(sweeps),
                MOST_AT_ONCE,
                self.keys.held_by,
                COUNTED_SECONDS,
                int(LATE_SECONDS * 1000),
            ],
        )
        names = [name.decode("utf-8", "replace") for name in swept[::2]]
        return Renewal(
            bool(was_held),
            None if due < 0 else due / 1000,
            dict(zip(names, swept[1::2], strict=True)),
            is_on_time=bool(on_time),
        )

    def leave(self) -> int:
        """Put all messages back and end the lease; return the number of messages."""
        count = self.put_back_others(())
        self.client.zrem(self.keys.consumers, self.consumer)
        return count

    def forget_deliveries(self, digests: Iterable[str]) -> None:
        """Delete the delivery counts of finished messages, by the SHA-1 of each."""
        self.client.hdel(self.keys.deliveries, *digests)

    def _run(self, name: str, keys: list[str], arguments: list[Any]) -> Any:  # noqa: ANN401 - a script's reply
        if name == "take":
            # Count the tags even if the reply is lost: none is used twice.
            self._next_tag += arguments[2]
        return self._scripts[name](keys=keys, args=arguments)


SCRIPTS: Final = ("take", "put_back", "delay", "letters", "renew")


@lru_cache
def source(name: str) -> str:
    """Return the text of a Lua script, after the functions that scripts share."""
    folder = files(__package__) / "lua"
    return "".join((folder / f"{each}.lua").read_text("utf-8") for each in ("shared", name))


def has_other_type(error: object) -> bool:
    """Return whether a reply is the error of a command on a key of another type."""
    # Where a pipeline raises it, redis-py writes the command before it.
    return isinstance(error, redis.ResponseError) and "WRONGTYPE" in str(error)


def _groups(tags: Collection[str]) -> Iterable[list[str]]:
    every = list(tags)
    return (every[at : at + MOST_AT_ONCE] for at in range(0, len(every), MOST_AT_ONCE))
