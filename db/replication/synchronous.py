"""Synchronous replication: commits wait until a standby has flushed them.

https://www.postgresql.org/docs/current/warm-standby.html#SYNCHRONOUS-REPLICATION
"""

from collections.abc import Mapping, Sequence
from typing import Final

import psycopg
from psycopg import sql

from db.cluster.processes import wait_until
from db.errors import Kind, OperationError
from db.replication.servers import require_primary

NAMES: Final = "synchronous_standby_names"
CONNECT_SECONDS: Final = 30.0
RELOAD_SECONDS: Final = 20.0
_WAITING: Final = ("on", "remote_apply")  # both wait until a standby has flushed
# A running pg_basebackup streams too, but replays nothing.
_STREAMING: Final = """
SELECT application_name, sync_state IN ('sync', 'quorum')
FROM pg_stat_replication
WHERE state = 'streaming' AND replay_lsn IS NOT NULL
ORDER BY application_name
"""


def switch_on(connection: psycopg.Connection, names: Sequence[str] = ()) -> list[str]:
    """Have commits wait for the first connected of these standbys; return their names.

    Raises OperationError: ``not_streaming``, ``not_a_primary``, or ``setting_overridden``. Nothing
    is changed then: without a connected standby all writes would block.

    Parameters
    ----------
    names
        Names of standbys that stream; empty for all of them.

    """
    require_primary(connection)
    connected = streaming(connection)
    standbys = list(names) or connected
    if not standbys or not {*standbys} <= {*connected}:
        raise _not_streaming([name for name in standbys if name not in connected])
    quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in standbys)
    wanted = {NAMES: f"FIRST 1 ({quoted})"}
    if _value(connection, "synchronous_commit") not in _WAITING:
        wanted["synchronous_commit"] = "on"
    before = {setting: _value(connection, setting) for setting in wanted}
    _set(connection, wanted)
    if not wait_until(lambda: _is_synchronous(connection), RELOAD_SECONDS):
        _set(connection, before)
        raise _overridden()
    return standbys


def switch_off(connection: psycopg.Connection) -> bool:
    """Make replication asynchronous; return whether it was synchronous.

    Raises OperationError: ``not_a_primary``, or ``setting_overridden``.
    """
    require_primary(connection)
    if not _value(connection, NAMES):
        return False
    _set(connection, {NAMES: ""})
    if not wait_until(lambda: not _value(connection, NAMES), RELOAD_SECONDS):
        raise _overridden()
    return True


def wait_streaming(connection: psycopg.Connection, names: Sequence[str]) -> None:
    """Wait until all these standbys stream.

    Raises OperationError: ``not_streaming``: not within :data:`CONNECT_SECONDS`.
    """
    if not wait_until(lambda: {*names} <= {*streaming(connection)}, CONNECT_SECONDS):
        raise _not_streaming(names)


def streaming(connection: psycopg.Connection) -> list[str]:
    """Return the names of the standbys that stream."""
    return [str(row[0]) for row in connection.execute(_STREAMING)]


def _is_synchronous(connection: psycopg.Connection) -> bool:
    return any(row[1] for row in connection.execute(_STREAMING))


def _value(connection: psycopg.Connection, setting: str) -> str:
    row = connection.execute("SELECT current_setting(%s)", [setting]).fetchone()
    return "" if row is None else str(row[0])


def _set(connection: psycopg.Connection, values: Mapping[str, str]) -> None:
    for setting, value in values.items():
        connection.execute(
            sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(setting), sql.Literal(value))
        )
    connection.execute("SELECT pg_reload_conf()")


def _not_streaming(names: Sequence[str]) -> OperationError:
    return OperationError(
        "not_streaming",
        f"the primary streams no WAL to {', '.join(names) or 'any standby'}",
        "start the standby and check its log; then: template-service replica status",
    )


def _overridden() -> OperationError:
    return OperationError(
        Kind.SETTING_OVERRIDDEN,
        "synchronous_standby_names was set with ALTER SYSTEM, but another source overrides it",
        "see where it is set: SELECT * FROM pg_settings WHERE name LIKE 'synchronous%'",
    )
