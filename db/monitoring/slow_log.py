"""The slow-query log of the database, in the server's own log.

Parameter values are not logged: they are the producers' data.
"""

from dataclasses import dataclass
from typing import Final

from psycopg import sql
from sqlalchemy import Engine, text

from db.monitoring.reader import Reader, permission_explained, reading

DURATION: Final = "log_min_duration_statement"
# https://www.postgresql.org/docs/current/runtime-config-logging.html: with 0, no parameter values
# are logged, neither of slow statements nor of failed ones.
WITHOUT_VALUES: Final = ("log_parameter_max_length", "log_parameter_max_length_on_error")


@dataclass(frozen=True, slots=True)
class SlowLog:
    """Settings of the slow-query log for new sessions.

    Attributes
    ----------
    milliseconds
        Minimum duration; None when it is off.
    values
        Whether parameter values are logged.
    here
        Whether it is set for this database, not for the whole server.
    log
        Location of the server's log.
    """

    milliseconds: int | None
    values: bool
    here: bool
    log: str


def status(engine: Engine) -> SlowLog:
    """Return the settings for new sessions."""
    engine.dispose()  # an open session keeps its settings
    with reading(engine) as reader:
        own = {row["name"]: row["value"] for row in reader.rows("database_settings")}
        server = reader.settings(DURATION, *WITHOUT_VALUES)
        log = _log(reader)
    milliseconds = int(own.get(DURATION) or _milliseconds(server[DURATION]))
    length = own.get(WITHOUT_VALUES[0]) or server[WITHOUT_VALUES[0]]
    return SlowLog(
        milliseconds=None if milliseconds < 0 else milliseconds,
        values=length.rstrip("B") != "0",
        here=DURATION in own,
        log=log,
    )


def switch_on(engine: Engine, milliseconds: int) -> SlowLog:
    """Log statements of new sessions that take ``milliseconds`` or longer.

    Raises OperationError: ``permission_denied``.
    """
    settings = {DURATION: milliseconds} | dict.fromkeys(WITHOUT_VALUES, 0)
    _alter(engine, [(f"SET {name} = {value}") for name, value in settings.items()])
    return status(engine)


def switch_off(engine: Engine) -> SlowLog:
    """Reset the settings of :func:`switch_on` to the server's own.

    Raises OperationError: ``permission_denied``.
    """
    _alter(engine, [f"RESET {name}" for name in (DURATION, *WITHOUT_VALUES)])
    return status(engine)


def _alter(engine: Engine, changes: list[str]) -> None:
    with (
        permission_explained(
            "only a superuser may change the logging of a database",
            "run this with a superuser in DATABASE_URL, or let one GRANT SET ON PARAMETER "
            f"{DURATION}, {WITHOUT_VALUES[0]} TO the owner of the database",
        ),
        engine.begin() as connection,
    ):
        name = connection.scalar(text("SELECT current_database()"))
        quoted = sql.Identifier(str(name)).as_string()
        for change in changes:
            connection.exec_driver_sql(f"ALTER DATABASE {quoted} {change}")


def _milliseconds(value: str) -> int:
    """Parse a value of current_setting with a unit, such as ``1s`` or ``250ms``, or -1."""
    units = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
    number = value.rstrip("dhimns")
    return int(number) * units[value[len(number) :] or "ms"]


def _log(reader: Reader) -> str:
    known = reader.settings("logging_collector", "log_directory", "data_directory")
    if known["logging_collector"] != "on":
        return "the output of the server's process (logging_collector is off)"
    folder = known.get("log_directory", "log")
    if not folder.startswith("/") and "data_directory" in known:
        folder = f"{known['data_directory']}/{folder}"
    return f"the files in {folder} on the server"
