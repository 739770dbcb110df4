"""Status of replication: lag, slots and problems.

https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-REPLICATION-VIEW
"""

from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from db.replication.servers import Address, is_standby

_STANDBYS: Final = """
SELECT application_name AS name,
       host(client_addr) AS client,
       state,
       sync_state,
       pg_wal_lsn_diff(pg_current_wal_lsn(), sent_lsn)::bigint AS sent_lag_bytes,
       pg_wal_lsn_diff(pg_current_wal_lsn(), write_lsn)::bigint AS write_lag_bytes,
       pg_wal_lsn_diff(pg_current_wal_lsn(), flush_lsn)::bigint AS flush_lag_bytes,
       pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint AS replay_lag_bytes,
       round(coalesce(extract(epoch FROM write_lag), 0), 3)::float AS write_lag_seconds,
       round(coalesce(extract(epoch FROM flush_lag), 0), 3)::float AS flush_lag_seconds,
       round(coalesce(extract(epoch FROM replay_lag), 0), 3)::float AS replay_lag_seconds
FROM pg_stat_replication
ORDER BY application_name, pid
"""
_SLOTS: Final = """
SELECT slot_name AS name,
       active,
       wal_status,
       pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint AS retained_bytes,
       safe_wal_size AS bytes_until_lost
FROM pg_replication_slots
WHERE slot_type = 'physical' AND NOT temporary
ORDER BY slot_name
"""
_SYNCHRONOUS: Final = "SELECT current_setting('synchronous_standby_names')"
# pg_last_wal_receive_lsn() is null until a receiver has run since the last start.
_RECEIVED: Final = """
SELECT pg_last_wal_receive_lsn()::text AS received,
       pg_last_wal_replay_lsn()::text AS replayed,
       CASE WHEN latest_end_lsn IS NOT NULL THEN
           greatest(pg_wal_lsn_diff(latest_end_lsn, pg_last_wal_receive_lsn()), 0)
       END::bigint AS receive_lag_bytes,
       greatest(coalesce(
           pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), 0
       ), 0)::bigint AS replay_lag_bytes,
       pg_last_xact_replay_timestamp() AS last_commit,
       CASE WHEN pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn() THEN 0
            ELSE round(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 3)
       END::float AS replay_lag_seconds,
       receiver.status AS receiver,
       sender_host AS primary_host,
       sender_port AS primary_port,
       slot_name AS slot
FROM (SELECT 1) AS one
LEFT JOIN pg_stat_wal_receiver AS receiver ON true
"""


@dataclass(frozen=True, slots=True)
class ReplicationStatus:
    """Replication status of a server.

    Attributes
    ----------
    role
        ``primary`` or ``standby``.
    standbys, slots
        Rows of a primary's standbys and slots. Lags are relative to the WAL that the primary has
        written, in bytes and seconds.
    synchronous
        A primary's ``synchronous_standby_names``.
    received
        A standby's received and replayed WAL, and its primary.
    problems
        A sentence for each problem.
    """

    server: Address
    role: str
    standbys: list[dict[str, Any]] = field(default_factory=list)
    slots: list[dict[str, Any]] = field(default_factory=list)
    synchronous: str = ""
    received: dict[str, Any] | None = None
    problems: list[str] = field(default_factory=list)


def replication_status(connection: psycopg.Connection) -> ReplicationStatus:
    """Return the replication status of a primary or a standby."""
    server = Address(connection.info.host, connection.info.port)
    with connection.cursor(row_factory=dict_row) as cursor:
        if is_standby(connection):
            received = cursor.execute(_RECEIVED).fetchall()[0]
            problems = _standby_problems(received)
            return ReplicationStatus(server, "standby", received=received, problems=problems)
        standbys = cursor.execute(_STANDBYS).fetchall()
        slots = cursor.execute(_SLOTS).fetchall()
        synchronous = str(cursor.execute(_SYNCHRONOUS).fetchall()[0]["current_setting"])
    problems = [problem for slot in slots if (problem := _slot_problem(slot))]
    if synchronous and not any(each["sync_state"] in {"sync", "quorum"} for each in standbys):
        problems.append(
            f"writes are blocked: no standby of synchronous_standby_names = {synchronous!r} is "
            "connected; start it, or run: template-service replica synchronous off"
        )
    return ReplicationStatus(server, "primary", standbys, slots, synchronous, problems=problems)


def _slot_problem(slot: dict[str, Any]) -> str:
    name = slot["name"]
    if slot["wal_status"] == "lost":
        return (
            f"the WAL that standby {name!r} needs was removed. If it reads the WAL archive "
            f"(restore_command): template-service replica reset-slot {name}. Otherwise delete its "
            f"data directory, run template-service replica drop {name}, and create it again with "
            "replica create"
        )
    if not slot["active"]:
        size = "" if slot["retained_bytes"] is None else f" {slot['retained_bytes']} bytes of"
        return (
            f"standby {name!r} is not connected, and the primary retains{size} WAL for it: start "
            f"it, or if it no longer exists run template-service replica drop {name}"
        )
    if slot["wal_status"] == "unreserved":
        return (
            f"standby {name!r} lags behind by more than max_slot_wal_keep_size, and its WAL may be "
            "removed at any time: increase the setting, and find out why it lags"
        )
    return ""


def _standby_problems(received: dict[str, Any]) -> list[str]:
    if received["receiver"] == "streaming":
        return []
    return [
        (
            "it receives no WAL from its primary: see its log and the primary's; if the primary "
            "is lost: template-service replica promote"
        )
    ]
