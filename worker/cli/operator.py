"""Settings and connections of the commands, which need DATABASE_URL alone."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from tasks.configuration import Configuration
    from worker.settings import Settings

# Commands on the database do not use the broker; it need not be set where only the database is.
_UNUSED = {
    "CELERY_BROKER_URL": "redis://unused.invalid/0",
    "CELERY_RESULT_BACKEND": "redis://unused.invalid/1",
}


def operator_settings() -> Settings:
    """Return the settings; only DATABASE_URL is required.

    Raises
    ------
    SettingsError
        Naming each wrong setting and what was expected.
    """
    from worker.settings import from_environment

    absent = {name: url for name, url in _UNUSED.items() if not os.environ.get(name)}
    return from_environment(os.environ | absent)


def operator_configuration() -> Configuration:
    """Return the configuration of the database's commands."""
    from worker.configuration import configuration

    return configuration(operator_settings())


@contextmanager
def operator_engine(configuration: Configuration | None = None) -> Iterator[Engine]:
    """Yield an engine that connects as the maintenance role, closed at the end of the block."""
    from db.session import make_engine

    if configuration is None:
        configuration = operator_configuration()
    engine = make_engine(configuration.maintenance, application_name="template-service operator")
    try:
        yield engine
    finally:
        engine.dispose()
