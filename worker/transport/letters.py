"""The list of dead letters on Redis: each change is atomic and updates the figures.

A letter is identified by its value, never by its position: workers add letters and drop the oldest
ones while an operator reads the list.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import redis

from worker.transport.held import Bounds, Keys, source

MOVED: Final = b'{"too_large":'
"""Beginning of a letter that was moved on the server for its size: a line of JSON, then the
entry."""
PAGE: Final = 100
"""Letters in one reply of the server."""
PAGE_BYTES: Final = 4 * 1024 * 1024
"""Bytes in one reply; a single letter may have more."""


@dataclass(frozen=True, slots=True)
class LetterFigures:
    """Number and size of the letters.

    Attributes
    ----------
    size
        Bytes; None if only other programs have added letters so far.
    oldest
        The oldest letter, None without any; of one that was moved for its size only the first line.
    dropped
        Number of letters ever dropped because of the limits.
    dropped_at
        Time of the last drop.
    """

    count: int
    size: int | None
    oldest: bytes | None
    dropped: int
    dropped_at: datetime | None


class LetterList:
    """A list of dead letters, the oldest at its end.

    Parameters
    ----------
    client
        Without a key prefix of its own.
    keys
        Names of the keys.
    name
        Name of the list, without the prefix.

    Every method raises the client's errors.
    """

    def __init__(self, client: redis.Redis, keys: Keys, name: str) -> None:
        self._client: Any = client  # redis-py's replies are typed for two kinds of client
        self._keys = keys
        self._own = [f"{keys.prefix}{name}", keys.figures(name)]
        self._script = client.register_script(source("letters"))

    def page(self, skip: int) -> list[bytes]:
        """Return letters, the oldest first, after ``skip`` older ones."""
        return list(self._run("page", skip, PAGE, PAGE_BYTES))

    def remove(self, letters: Sequence[bytes]) -> list[bool]:
        """Remove letters; return for each whether it was still there."""
        return [bool(answer) for answer in self._run("remove", *letters)]

    def replay(self, letter: bytes, target: str, message: bytes) -> bool:
        """Put a message on the list ``target`` and remove its letter.

        Return whether the letter was still there; otherwise nothing is changed.
        """
        keys = [f"{self._keys.prefix}{target}", self._keys.deliveries]
        return bool(self._run("replay", letter, message, keys=keys))

    def trim(self, bounds: Bounds) -> int:
        """Recount all bytes; drop the oldest letters over ``bounds`` and return how many."""
        return int(self._run("trim", bounds.count, bounds.size)[2])

    def figures(self) -> LetterFigures:
        """Return the current figures."""
        oldest, count, size, dropped, dropped_at = self._run("figures")
        return LetterFigures(
            count=int(count),
            size=0 if not count else None if size is None else int(size),
            oldest=oldest,
            dropped=int(dropped or 0),
            dropped_at=None if dropped_at is None else _moment(dropped_at),
        )

    def _run(self, *arguments: Any, keys: Sequence[str] = ()) -> Any:  # noqa: ANN401 - a script's reply
        return self._script(keys=[*self._own, *keys], args=arguments)


def _moment(milliseconds: bytes) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
