"""Alembic's connection to the database, and the time limits of a migration.

DATABASE_URL names the database. A migration waits 4 s at the most for a lock, because everything
else queues behind a waiting lock, and its statements run 60 s at the most. Two migrations at once
wait for each other.
"""

import os
from logging.config import fileConfig

from alembic import context
from sqlalchemy import Connection, create_engine, pool, text

from db.models import Base
from db.session import sqlalchemy_url

LOCK_TIMEOUT = "4s"
STATEMENT_TIMEOUT = "60s"
ADVISORY_LOCK = 7_116_213_901  # any number; the same in every migration

config = context.config
if config.config_file_name is not None:
    fileConfig(config.config_file_name, disable_existing_loggers=False)


def database_url() -> str:
    """Return the address of the database.

    Raises
    ------
    SystemExit
        DATABASE_URL is not set.
    """
    url = config.attributes.get("database_url") or os.environ.get("DATABASE_URL")
    if not url:
        raise SystemExit("DATABASE_URL is not set: postgresql://user:password@host:port/database")
    return str(url)


def run_offline() -> None:
    """Write the SQL of the migrations to standard output (``--sql``)."""
    context.configure(
        url=sqlalchemy_url(database_url()), target_metadata=Base.metadata, literal_binds=True
    )
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    """Run the migrations on the database."""
    engine = create_engine(sqlalchemy_url(database_url()), poolclass=pool.NullPool)
    with engine.connect() as connection:
        _run(connection)


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        transaction_per_migration=True,
        compare_server_default=True,
    )
    connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": ADVISORY_LOCK})
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
    connection.commit()
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
