"""Synchronous replication: a commit is acknowledged only when a standby has it too.

https://www.postgresql.org/docs/current/warm-standby.html#SYNCHRONOUS-REPLICATION
"""

from collections.abc import Mapping, Sequence
from typing import Final

import psycopg
from psycopg import sql

from db.cluster.processes import wait_until
from db.errors import OperationError
from db.replication.servers import is_standby

NAMES: Final = "synchronous_standby_names"
CONNECT_SECONDS: Final = 30.0
RELOAD_SECONDS: Final = 20.0
_WAITING: Final = ("on", "remote_apply")  # for a standby that has flushed, at the least
# A copy that is being made streams too, and replays nothing.
_STREAMING: Final = """
SELECT application_name, sync_state IN ('sync', 'quorum')
FROM pg_stat_replication
WHERE state = 'streaming' AND replay_lsn IS NOT NULL
ORDER BY application_name
"""


def switch_on(connection: psycopg.Connection, names: Sequence[str] = ()) -> list[str]:
    """Have commits wait for the first of these standbys that is connected.

    Parameters
    ----------
    names
        Of standbys that stream; empty for all that do.

    Returns
    -------
    list
        Their names, the first one first.

    Raises
    ------
    OperationError
        ``not_streaming``, ``not_a_primary``, or ``setting_overridden``. Nothing is changed then:
        with a standby that is not there every write would wait.
    """
    _refuse_standby(connection)
    found = streaming(connection)
    chosen = list(names) or found
    if not chosen or not {*chosen} <= {*found}:
        raise _not_streaming([name for name in chosen if name not in found])
    quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in chosen)
    wanted = {NAMES: f"FIRST 1 ({quoted})"}
    if _value(connection, "synchronous_commit") not in _WAITING:
        wanted["synchronous_commit"] = "on"
    before = {setting: _value(connection, setting) for setting in wanted}
    _set(connection, wanted)
    if not wait_until(lambda: _is_synchronous(connection), RELOAD_SECONDS):
        _set(connection, before)
        raise _overridden()
    return chosen


def switch_off(connection: psycopg.Connection) -> bool:
    """Have commits wait for no standby; tell whether they did.

    Raises
    ------
    OperationError
        ``not_a_primary``, or ``setting_overridden``.
    """
    _refuse_standby(connection)
    if not _value(connection, NAMES):
        return False
    _set(connection, {NAMES: ""})
    if not wait_until(lambda: not _value(connection, NAMES), RELOAD_SECONDS):
        raise _overridden()
    return True


def wait_streaming(connection: psycopg.Connection, names: Sequence[str]) -> None:
    """Return when all these standbys receive WAL.

    Raises
    ------
    OperationError
        ``not_streaming``: not within :data:`CONNECT_SECONDS`.
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
        f"the primary sends no WAL to {', '.join(names) or 'any standby'}",
        "start the standby and look at its log; then: template-service replica status",
    )


def _overridden() -> OperationError:
    return OperationError(
        "setting_overridden",
        "the primary did not take up what synchronous_standby_names was set to",
        "see where it is set: SELECT * FROM pg_settings WHERE name LIKE 'synchronous%'",
    )


def _refuse_standby(connection: psycopg.Connection) -> None:
    if is_standby(connection):
        raise OperationError(
            "not_a_primary",
            f"the server at port {connection.info.port} is a standby",
            "name the primary in DATABASE_URL",
        )
