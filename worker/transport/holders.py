"""What this process holds on each broker."""

import os
from collections.abc import Collection
from typing import Any

from worker.transport.held import Keys
from worker.transport.holder import Holder

_holders: dict[tuple[Any, ...], Holder] = {}


def holder_of(place: tuple[Any, ...], prefix: str, node: str) -> Holder:
    """Return what this process holds at a place: the same for all its connections to it.

    Parameters
    ----------
    place
        Hosts, port and number of the database.
    prefix
        Of all keys there.
    node
        What the name begins with, if it is the first time.
    """
    key = (os.getpid(), *place, prefix)
    if key not in _holders:
        _holders[key] = Holder(node, Keys(prefix))
    return _holders[key]


def keep_in_hand(tags: Collection[str]) -> None:
    """Forget all messages in hand but these; the next connection puts the others back."""
    for holder in _mine():
        holder.forget(holder.in_hand.keys() - tags)


def put_back_unknown() -> None:
    """Put back what this process holds without having it in hand."""
    for holder in _mine():
        holder.put_back_unknown()


def release_done() -> None:
    """Release finished messages on the brokers."""
    for holder in _mine():
        holder.release_all()


def leave_all() -> None:
    """Put back all that this process holds, and end its leases."""
    for holder in _mine():
        holder.close()


def _mine() -> list[Holder]:
    return [holder for holder in _holders.values() if holder.is_mine and holder.is_connected]
