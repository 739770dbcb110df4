"""Settings of the commands that need no database, and some no server."""

import os

from tasks.rendering.limits import Limits
from worker.settings import from_environment

_UNUSED = {
    "DATABASE_URL": "postgresql://unused.invalid/none",
    "CELERY_BROKER_URL": "redis://unused.invalid/0",
    "CELERY_RESULT_BACKEND": "redis://unused.invalid/1",
}


def author_settings() -> tuple[Limits, str]:
    """Return the limits and the default language of the environment; it need name no server.

    Raises
    ------
    SettingsError
        Naming each wrong setting and what was expected.
    """
    given = {name: value for name, value in os.environ.items() if value}
    settings = from_environment(_UNUSED | given)
    return settings.limits, settings.default_language
