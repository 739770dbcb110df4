"""Extensions of PostgreSQL for monitoring: requirements and installation."""

from typing import Final

from sqlalchemy import Engine, text

from db.errors import OperationError
from db.monitoring.reader import Reader, permission_explained, reading
from db.printed import literal

STATEMENTS: Final = "pg_stat_statements"
TUPLES: Final = "pgstattuple"


def require_statements(reader: Reader) -> None:
    """Check that ``pg_stat_statements`` can be read (raises ``extension_missing``)."""
    if not reader.installed(STATEMENTS):
        raise _not_loaded(reader) or OperationError(
            "extension_missing",
            f"{STATEMENTS} is not set up in this database",
            "set it up, as a superuser: template-service db slow-queries --setup",
        )
    if (problem := _not_loaded(reader)) is not None:
        raise problem


def create(engine: Engine, name: str) -> None:
    """Create an extension in the database unless it exists.

    Raises OperationError: ``extension_missing``: the server does not have it, or must load it at
    its start; ``permission_denied``.
    """
    with reading(engine) as reader:
        if not reader.rows("extensions", names=[name]):
            raise OperationError(
                "extension_missing",
                f"{name} is not installed with this PostgreSQL",
                "install its contrib modules (Debian: postgresql-contrib, part of postgresql-NN)",
            )
        if name == STATEMENTS and (problem := _not_loaded(reader)) is not None:
            raise problem
    with (
        permission_explained(
            f"only a superuser may create the extension {name}",
            f"run as a superuser: CREATE EXTENSION {name}",
        ),
        engine.begin() as connection,
    ):
        connection.execute(text(f"CREATE EXTENSION IF NOT EXISTS {name}"))


def reset_statements(engine: Engine) -> None:
    """Reset ``pg_stat_statements`` for this database (raises ``extension_missing``)."""
    with reading(engine) as reader:
        require_statements(reader)
    with engine.begin() as connection:
        connection.execute(
            text(
                "SELECT pg_stat_statements_reset(0, oid, 0) FROM pg_database "
                "WHERE datname = current_database()"
            )
        )


def _not_loaded(reader: Reader) -> OperationError | None:
    """Return the error if the server did not load ``pg_stat_statements`` at its start.

    The list of loaded libraries is readable for pg_read_all_settings only; a setting of the module
    itself is readable for every role.
    """
    if reader.settings(f"{STATEMENTS}.max"):
        return None
    loaded = reader.settings("shared_preload_libraries").get("shared_preload_libraries", "")
    wanted = ", ".join(part for part in (loaded, STATEMENTS) if part)
    return OperationError(
        "extension_missing",
        f"the server does not load {STATEMENTS}",
        f"as a superuser: ALTER SYSTEM SET shared_preload_libraries = {literal(wanted)}; then "
        "restart PostgreSQL",
    )
