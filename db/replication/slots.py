"""Replication slots: WAL that a primary retains for a standby.

https://www.postgresql.org/docs/current/warm-standby.html#STREAMING-REPLICATION-SLOTS
"""

from typing import Final

import psycopg

from db.cluster.processes import wait_until
from db.errors import OperationError

RELEASE_SECONDS: Final = 10.0
_LOST: Final = "SELECT wal_status = 'lost' FROM pg_replication_slots WHERE slot_name = %s"
_SLOT: Final = "SELECT active FROM pg_replication_slots WHERE slot_name = %s"


def reserve_slot(connection: psycopg.Connection, name: str) -> None:
    """Create a physical slot, which retains WAL from now on until the standby has received it.

    Raises OperationError: ``slot_exists``.
    """
    slot = connection.execute(_SLOT, [name]).fetchone()
    if slot is not None:
        state = "in use" if slot[0] else "not in use"
        raise OperationError(
            "slot_exists",
            f"replication slot {name!r} already exists on the primary and is {state}",
            "choose another --name, or if its standby no longer exists: "
            f"template-service replica drop {name}",
        )
    connection.execute("SELECT pg_create_physical_replication_slot(%s, true)", [name])


def is_active(connection: psycopg.Connection, name: str) -> bool:
    """Return whether a standby or a running pg_basebackup uses the slot."""
    slot = connection.execute(_SLOT, [name]).fetchone()
    return slot is not None and bool(slot[0])


def drop_slot(connection: psycopg.Connection, name: str) -> None:
    """Drop the slot of a standby that no longer exists, and with it the WAL retained for it.

    Raises OperationError: ``slot_missing``, or ``slot_in_use``: its standby is connected.
    """
    slot = connection.execute(_SLOT, [name]).fetchone()
    if slot is None:
        raise OperationError(
            "slot_missing",
            f"replication slot {name!r} does not exist on the primary",
            "list its slots: template-service replica status",
        )
    if slot[0]:
        raise OperationError(
            "slot_in_use",
            f"the standby of replication slot {name!r} is connected",
            "stop that standby first: template-service replica stop DIR",
        )
    connection.execute("SELECT pg_drop_replication_slot(%s)", [name])


def reset_slot(connection: psycopg.Connection, name: str) -> None:
    """Create a lost slot again: it retains WAL from now on, for a standby that reads the archive.

    Raises OperationError: ``slot_missing``; ``slot_not_lost``: it still retains its WAL;
    ``slot_in_use``.
    """
    slot = connection.execute(_LOST, [name]).fetchone()
    if slot is None or not slot[0]:
        drop = f"template-service replica drop {name}"
        raise OperationError(
            "slot_missing" if slot is None else "slot_not_lost",
            f"replication slot {name!r} "
            + ("does not exist on the primary" if slot is None else "still retains its WAL"),
            f"nothing needs to be reset; if its standby no longer exists: {drop}",
        )
    # Its standby connects every few seconds, and is refused.
    if not wait_until(lambda: _dropped(connection, name), RELEASE_SECONDS):
        drop_slot(connection, name)
    reserve_slot(connection, name)


def _dropped(connection: psycopg.Connection, name: str) -> bool:
    try:
        connection.execute("SELECT pg_drop_replication_slot(%s)", [name])
    except psycopg.errors.ObjectInUse:
        return False
    return True
