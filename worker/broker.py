"""Connections to the broker outside a worker's own."""

from kombu import Connection

from tasks.backlog import Ask
from tasks.letters import Prune
from worker import dead_letters, rabbitmq, transport
from worker.backlog import backlog
from worker.celery_settings import celery_settings
from worker.settings import Settings
from worker.transport.held import Bounds


def connection(settings: Settings) -> Connection:
    """Return a connection to the broker, with the time-outs of the workers; it opens when used."""
    transport.register()
    rabbitmq.register()
    options = celery_settings(settings)
    return Connection(
        options["broker_url"],
        connect_timeout=options["broker_connection_timeout"],
        transport_options=options["broker_transport_options"],
    )


def pruning(settings: Settings) -> Prune:
    """Return the function that deletes old dead letters from the broker."""

    def prune(days: int, dry_run: bool) -> int:  # noqa: FBT001 - as the tasks call it
        with connection(settings) as opened:
            return dead_letters.prune(opened, days, bounds(settings), dry_run=dry_run)

    return prune


def bounds(settings: Settings) -> Bounds:
    """Return how many dead letters are kept on Redis at the most."""
    return Bounds(settings.dead_letters_max, settings.dead_letters_max_bytes)


def counting(settings: Settings) -> Ask:
    """Return the function that counts the messages of each queue."""
    return lambda: backlog(connection(settings))
