"""Start of the server of metrics, in a worker and in beat, and its end in pool processes."""

from typing import Any, Final

from celery import bootsteps
from celery.signals import beat_init, worker_process_init
from celery.worker import state

from worker.metrics import health
from worker.metrics.exposition import Pool, registry
from worker.metrics.server import MetricsServer
from worker.setting_types import host_and_port
from worker.settings import Settings, SettingsError, environment_name, load

_servers: Final[list[MetricsServer]] = []


def connect() -> None:
    """Connect the handlers of Celery's signals."""
    beat_init.connect(_start_in_beat)
    worker_process_init.connect(_leave_to_the_main_process)


class Server(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery ships no types
    """Serves metrics while the worker runs, also while it waits for its broker."""

    # After the pool: its first processes do not inherit the socket.
    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **options: Any) -> None:  # noqa: ANN401 - Celery's arguments
        super().__init__(worker, **options)
        self.enabled = load().metrics_address != ""

    def create(self, worker: Any) -> None:  # noqa: ANN401 - Celery's worker
        """Start the server."""
        start(load(), lambda: _pool(worker))


def start(settings: Settings, pool: Any = None) -> None:  # noqa: ANN401 - a function or None
    """Start the server at the address of the settings.

    Raises
    ------
    SettingsError
        Naming the setting, if the address cannot be used.
    """
    host, port = host_and_port(settings.metrics_address)
    try:
        _servers.append(MetricsServer(host, port, registry(settings, pool)))
    except OSError as error:
        raise SettingsError(
            f"template-service cannot start:\n{environment_name('metrics_address')}: "
            f"{settings.metrics_address} cannot be used: {error.strerror}: give each worker and "
            "beat of a machine a port of its own"
        ) from None


def _pool(worker: Any) -> Pool:  # noqa: ANN401 - Celery's worker
    return Pool(
        processes=worker.pool.num_processes,
        busy=len(state.active_requests),
        reserved=len(state.reserved_requests),
    )


def _start_in_beat(**_: Any) -> None:  # noqa: ANN401 - Celery's arguments
    if load().metrics_address != "":
        health.use(health.BEAT_SECONDS)
        start(load())


def _leave_to_the_main_process(**_: Any) -> None:  # noqa: ANN401 - Celery's arguments
    """Close the inherited socket: after a crash of the main process the port must be free."""
    for server in _servers:
        server.socket.close()
    _servers.clear()
