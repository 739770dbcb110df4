"""Migrating the database of a local stack."""

from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from db import migrations
from db.errors import Kind, OperationError
from db.postgres_errors import RETRY


def migrate(url: str) -> None:
    """Bring a database to the newest revision.

    Raises
    ------
    OperationError
        ``migration_failed``.
    """
    try:
        migrations.upgrade(url)
    except (SQLAlchemyError, CommandError) as error:
        raise OperationError(
            Kind.MIGRATION_FAILED, f"the migrations failed: {error}", RETRY
        ) from error
