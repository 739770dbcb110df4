"""Which errors of the database may pass by themselves, so that a message is tried again."""

import errno

import psycopg
from psycopg import errors
from sqlalchemy.exc import (
    DBAPIError,
    InvalidRequestError,
    NoResultFound,
    PendingRollbackError,
    ResourceClosedError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from db.session import is_transient
from tasks.base import transient_cause
from tests.support.cases import each

# PostgreSQL, appendix A.
PASSING = {
    "connection_exception": "08000",
    "sqlclient_unable_to_establish_sqlconnection": "08001",
    "connection_does_not_exist": "08003",
    "sqlserver_rejected_establishment_of_sqlconnection": "08004",
    "connection_failure": "08006",
    "transaction_resolution_unknown": "08007",
    "protocol_violation": "08P01",
    "read_only_sql_transaction": "25006",
    "idle_in_transaction_session_timeout": "25P03",
    "transaction_timeout": "25P04",
    "serialization_failure": "40001",
    "deadlock_detected": "40P01",
    "insufficient_resources": "53000",
    "disk_full": "53100",
    "out_of_memory": "53200",
    "too_many_connections": "53300",
    "lock_not_available": "55P03",
    "query_canceled": "57014",
    "admin_shutdown": "57P01",
    "crash_shutdown": "57P02",
    "cannot_connect_now": "57P03",
    "idle_session_timeout": "57P05",
    "io_error": "58030",
}
LASTING = {
    "unique_violation": "23505",
    "string_data_right_truncation": "22001",
    "in_failed_sql_transaction": "25P02",
    "insufficient_privilege": "42501",
    "undefined_table": "42P01",
    "data_corrupted": "XX001",
}


def wrapped(error: Exception) -> DBAPIError:
    """Return an error as SQLAlchemy's engine raises it."""
    return DBAPIError("SELECT", {}, error)


@each("name", PASSING)
def test_a_server_in_trouble_may_recover(name: str) -> None:
    """Both as psycopg raises it and as SQLAlchemy does."""
    error = errors.lookup(PASSING[name])()
    assert is_transient(error)
    assert is_transient(wrapped(error))


@each("name", LASTING)
def test_a_refused_statement_is_refused_again(name: str) -> None:
    """A defect of this service, which tries do not help."""
    error = errors.lookup(LASTING[name])()
    assert not is_transient(error)
    assert not is_transient(wrapped(error))


@each(
    "error",
    [
        psycopg.OperationalError("consuming input failed: server closed the connection"),
        psycopg.InterfaceError("cannot fetch from a closed cursor"),
        psycopg.InternalError("got no result from the query"),
        StatementError("…", "SELECT", {}, psycopg.OperationalError("the connection is closed")),
        PoolTimeoutError(),
        PendingRollbackError(),
        ResourceClosedError("This Connection is closed"),
        DBAPIError("SELECT", {}, psycopg.DatabaseError(), connection_invalidated=True),
    ],
)
def test_a_lost_connection_and_what_follows_from_it_may_pass(error: Exception) -> None:
    """None of them has an SQLSTATE: the server did not speak."""
    assert is_transient(error)


@each(
    "error",
    [
        psycopg.DataError("text cannot contain NUL"),
        psycopg.ProgrammingError("the query has 1 placeholders"),
        InvalidRequestError(),
        NoResultFound(),
        StatementError("…", "SELECT", {}, KeyError("a")),
        ValueError(),
    ],
)
def test_a_defect_of_this_service_does_not_pass(error: Exception) -> None:
    """It is reported at the first try."""
    assert not is_transient(error)


@each(("number", "cause"), [(errno.EMFILE, True), (errno.ENFILE, True), (errno.ENOENT, False)])
def test_too_many_open_files_may_pass(number: int, cause: bool) -> None:  # noqa: FBT001 - a column of the table
    """Connections that were lost have left theirs behind."""
    assert (transient_cause(OSError(number, "")) is not None) is cause
