"""Connections to the broker outside a worker's own."""

from kombu import Connection

from tasks.broker import Backlog
from worker import dead_letters, rabbitmq, transport
from worker.backlog import backlog
from worker.celery_settings import celery_settings
from worker.settings import Settings
from worker.transport.held import Bounds


def connection(settings: Settings) -> Connection:
    """Return a connection to the broker, with the workers' timeouts; it opens when used."""
    transport.register()
    rabbitmq.register()
    options = celery_settings(settings)
    return Connection(
        options["broker_url"],
        connect_timeout=options["broker_connection_timeout"],
        transport_options=options["broker_transport_options"],
    )


class SettingsBroker:
    """The broker of the settings, as maintenance tasks use it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def backlog(self) -> Backlog | None:
        """Return the figures of the queues, or None when the broker does not answer."""
        return backlog(connection(self._settings), everywhere=True)

    def prune_dead_letters(self, days: int, *, dry_run: bool) -> int:
        """Delete the dead letters older than ``days`` days; return how many there were."""
        limit = bounds(self._settings)
        with connection(self._settings) as opened:
            return dead_letters.prune(opened, days, limit, dry_run=dry_run)


def bounds(settings: Settings) -> Bounds:
    """Return the limits of the dead letters on Redis."""
    return Bounds(settings.dead_letters_max, settings.dead_letters_max_bytes)
