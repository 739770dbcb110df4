"""Promotion of a standby to primary.

https://www.postgresql.org/docs/current/warm-standby-failover.html
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from db.errors import OperationError
from db.replication.servers import (
    CONNECT_TIMEOUT,
    Address,
    addresses,
    connected,
    is_standby,
    one_row,
    options_at,
)
from db.replication.synchronous import switch_off

PROMOTE_SECONDS: Final = 60
_ANSWERS: Final = (pq.Ping.OK, pq.Ping.REJECT)
_FOLLOWED: Final = "SELECT current_setting('primary_conninfo')"
_LAST: Final = """
SELECT coalesce(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::text, '0/0'),
       pg_last_xact_replay_timestamp(),
       (SELECT greatest(pg_wal_lsn_diff(latest_end_lsn, pg_last_wal_receive_lsn()), 0)::bigint
        FROM pg_stat_wal_receiver)
"""
_NOW: Final = """
SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int,
       current_setting('archive_mode') <> 'off'
"""


@dataclass(frozen=True, slots=True)
class Promotion:
    """Result of a promotion.

    Attributes
    ----------
    server
        The new primary.
    timeline
        The new timeline of its WAL.
    last_received
        LSN of the old primary's WAL up to which it has everything.
    last_commit
        Commit time on the old primary of the last transaction received, if there was any since
        the standby was started.
    missing_bytes
        WAL that the old primary had reported but not sent; ``None`` when unknown.
    notes
        Facts and next steps for the operator.
    """

    server: Address
    timeline: int
    last_received: str
    last_commit: datetime | None
    missing_bytes: int | None
    notes: list[str]


def find_standby(url: str) -> Address:
    """Return the only standby among the hosts in the database's URL.

    Raises OperationError: ``standby_unclear``.
    """
    standbys = [each for each in addresses(url) if _answers(url, each) and _follows(url, each)]
    if len(standbys) != 1:
        names = " and ".join(map(str, standbys)) or "none that answers"
        raise OperationError(
            "standby_unclear",
            f"exactly one host in DATABASE_URL must be a standby; found: {names}",
            "pass it: template-service replica promote HOST:PORT, or its data directory",
        )
    return standbys[0]


def promote(url: str, standby: Address, *, force: bool = False) -> Promotion:
    """Promote a standby and return when it accepts writes.

    Raises OperationError: ``not_a_standby``, ``primary_alive`` or ``promotion_failed``.

    Parameters
    ----------
    url
        URL of the database, with user and password; its hosts are searched for a running primary.
    standby
        The server to promote.
    force
        Promote although a primary answers: both servers then accept writes and diverge.
    """
    with connected(url, standby) as connection:
        if not is_standby(connection):
            raise OperationError(
                "not_a_standby",
                f"the server at {standby} is already a primary",
                "pass the standby: template-service replica promote HOST:PORT",
            )
        followed = _followed(connection)
        alive = _living_primary(url, standby, followed)
        if alive is not None and not force:
            raise OperationError(
                "primary_alive",
                f"the primary at {alive} answers, and two primaries would diverge",
                "stop it first, so that the standby receives all WAL; or pass --force",
            )
        received, last_commit, missing = one_row(connection, _LAST)
        if not one_row(connection, f"SELECT pg_promote(true, {PROMOTE_SECONDS})")[0]:
            raise OperationError(
                "promotion_failed",
                f"the server at {standby} was not promoted within {PROMOTE_SECONDS} s",
                "see its log (in the directory that SHOW log_directory names), then retry",
            )
        timeline, archives = one_row(connection, _NOW)
        notes = _notes(connection, alive or followed, missing, archives=bool(archives))
    return Promotion(
        server=standby,
        timeline=int(str(timeline)),
        last_received=str(received),
        last_commit=last_commit if isinstance(last_commit, datetime) else None,
        missing_bytes=missing if isinstance(missing, int) else None,
        notes=notes,
    )


def _notes(
    connection: psycopg.Connection, old: Address | None, missing: object, *, archives: bool
) -> list[str]:
    where = "" if old is None else f" at {old}"
    known = f" ({missing} bytes of WAL are known)" if isinstance(missing, int) else ""
    notes = [
        (
            "Later commits of the old primary that it had not sent are missing"
            f"{known}; with synchronous replication no acknowledged write is among them."
        ),
        (
            f"Keep the old primary{where} stopped: it must never accept writes again. "
            "Make it a standby of this one: template-service replica create --into NEW_DIRECTORY, "
            "or pg_rewind."
        ),
        (
            "Workers find this primary if DATABASE_URL names it: "
            "postgresql://user:password@host1:port1,host2:port2/database."
        ),
    ]
    try:
        released = switch_off(connection)
    except (psycopg.errors.InsufficientPrivilege, OperationError):
        notes.append(
            "synchronous_standby_names could not be reset: if writes block, run as a superuser: "
            "template-service replica synchronous off"
        )
    else:
        if released:
            notes.append(
                "Synchronous replication is off now, since writes would wait for a standby that "
                "this primary does not have; switch it on when it has one: "
                "template-service replica synchronous on"
            )
    if archives:
        notes.append("This primary archives WAL from now on: template-service pitr status")
    return notes


def _followed(connection: psycopg.Connection) -> Address | None:
    """Return the primary that a standby follows, if the role may read that."""
    try:
        conninfo = str(one_row(connection, _FOLLOWED)[0])
    except psycopg.errors.InsufficientPrivilege:
        return None
    options = conninfo_to_dict(conninfo)
    if not (host := options.get("host")):
        return None
    return addresses(make_conninfo(host=host, port=options.get("port")))[0]


def _living_primary(url: str, standby: Address, followed: Address | None) -> Address | None:
    candidates = [*addresses(url), *([] if followed is None else [followed])]
    for address in candidates:
        if address != standby and _answers(url, address) and not _follows(url, address):
            return address
    return None


def _answers(url: str, at: Address) -> bool:
    options = options_at(url, at) | {"connect_timeout": str(CONNECT_TIMEOUT)}
    return pq.PGconn.ping(make_conninfo(**options).encode()) in _ANSWERS


def _follows(url: str, at: Address) -> bool:
    """Return whether a server that answers is a standby for certain."""
    try:
        with connected(url, at) as connection:
            return is_standby(connection)
    except OperationError:
        return False
