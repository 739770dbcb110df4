"""The slow-query log of the database: statements that took long, in the server's own log.

Values that clients pass beside a statement are kept out of it: they are what producers sent.
"""

from dataclasses import dataclass
from typing import Final

from psycopg import sql
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from db.errors import OperationError
from db.monitoring.reader import Reader, reading

DURATION: Final = "log_min_duration_statement"
# https://www.postgresql.org/docs/current/runtime-config-logging.html: 0 logs none of the values
# of a statement's parameters, neither of a slow one nor of one that failed.
WITHOUT_VALUES: Final = ("log_parameter_max_length", "log_parameter_max_length_on_error")


@dataclass(frozen=True, slots=True)
class SlowLog:
    """How slow statements of new sessions are logged.

    Attributes
    ----------
    milliseconds
        From which duration on; None when it is off.
    values
        Whether values of parameters are logged with them.
    here
        Whether it was set for this database, and not for the whole server.
    log
        Where the server's log is.
    """

    milliseconds: int | None
    values: bool
    here: bool
    log: str


def status(engine: Engine) -> SlowLog:
    """Return how slow statements of new sessions are logged."""
    engine.dispose()  # a session keeps the settings that it began with
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
    """Have statements of new sessions logged that take ``milliseconds`` or more.

    Raises
    ------
    OperationError
        ``permission_denied``.
    """
    settings = {DURATION: milliseconds} | dict.fromkeys(WITHOUT_VALUES, 0)
    _alter(engine, [(f"SET {name} = {value}") for name, value in settings.items()])
    return status(engine)


def switch_off(engine: Engine) -> SlowLog:
    """Take back what :func:`switch_on` set; the server's own settings count again.

    Raises
    ------
    OperationError
        ``permission_denied``.
    """
    _alter(engine, [f"RESET {name}" for name in (DURATION, *WITHOUT_VALUES)])
    return status(engine)


def _alter(engine: Engine, changes: list[str]) -> None:
    with engine.connect() as connection, connection.begin():
        name = connection.scalar(text("SELECT current_database()"))
        quoted = sql.Identifier(str(name)).as_string()
        try:
            for change in changes:
                connection.exec_driver_sql(f"ALTER DATABASE {quoted} {change}")
        except DBAPIError as error:
            if isinstance(error.orig, InsufficientPrivilege):
                raise OperationError(
                    "permission_denied",
                    "only a superuser may change what a database logs",
                    "run this with a superuser in DATABASE_URL, or let one GRANT SET ON PARAMETER "
                    f"{DURATION}, {WITHOUT_VALUES[0]} TO the owner of the database",
                ) from None
            raise


def _milliseconds(value: str) -> int:
    """Return what current_setting writes with a unit, such as ``1s`` or ``250ms``, or -1."""
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
