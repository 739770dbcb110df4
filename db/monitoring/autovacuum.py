"""Autovacuum settings of the template tables."""

from typing import Final

from psycopg.errors import LockNotAvailable
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from db.errors import Kind, OperationError
from db.maintenance import TABLES
from db.monitoring.reader import permission_explained

SETTINGS: Final = {
    "autovacuum_enabled": "true",
    "autovacuum_vacuum_scale_factor": "0.1",
    "autovacuum_analyze_scale_factor": "0.05",
}
"""Vacuum when 10 % of the rows are dead, analyze when 5 % have changed."""

_LOCK_TIMEOUT: Final = "2s"


def apply(engine: Engine) -> None:
    """Set :data:`SETTINGS` on the three tables, all or none.

    https://www.postgresql.org/docs/current/sql-altertable.html: it conflicts neither with readers
    nor with writers, only with a running vacuum or change of the table.

    Raises OperationError: ``permission_denied``; ``locked``.
    """
    settings = ", ".join(f"{name} = {value}" for name, value in SETTINGS.items())
    try:
        with (
            permission_explained(
                "only the owner of the tables may change their settings",
                "set TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL to the role that runs alembic",
            ),
            engine.begin() as connection,
        ):
            connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
            for table in TABLES:
                connection.execute(text(f"ALTER TABLE {table} SET ({settings})"))
    except DBAPIError as error:
        if isinstance(error.orig, LockNotAvailable):
            raise OperationError(
                Kind.LOCKED,
                "a vacuum or a change of a table is running",
                "retry later; template-service db locks shows the session",
            ) from None
        raise
