"""The holders of this process: one for each broker."""

import os
from collections.abc import Collection
from typing import Any

from worker.transport.held import Keys
from worker.transport.holder import Holder

_holders: dict[tuple[Any, ...], Holder] = {}


def holder_of(place: tuple[Any, ...], prefix: str, node: str, most_bytes: int) -> Holder:
    """Return this process's holder on a broker, the same for all connections to it.

    Parameters
    ----------
    place
        Hosts, port and number of the database.
    prefix
        Prefix of all keys.
    node
        Beginning of the name of a new holder.
    most_bytes
        Size of an entry over which a new holder does not fetch it.
    """
    key = (os.getpid(), *place, prefix)
    if key not in _holders:
        _holders[key] = Holder(node, Keys(prefix), most_bytes)
    return _holders[key]


def keep_in_hand(tags: Collection[str]) -> None:
    """Forget all messages in hand except these; the next connection puts the others back."""
    for holder in _mine():
        holder.forget(holder.in_hand.keys() - tags)


def put_back_unknown() -> None:
    """Put back messages that this process holds and that are not in hand."""
    for holder in _mine():
        holder.put_back_unknown()


def release_done() -> None:
    """Release finished messages on the brokers."""
    for holder in _mine():
        holder.release_all()


def leave_all() -> None:
    """Put back all messages of this process, and end its leases."""
    for holder in _mine():
        holder.close()


def _mine() -> list[Holder]:
    return [holder for holder in _holders.values() if holder.is_mine and holder.is_connected]
