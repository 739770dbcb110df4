"""Flower's arguments and health check; the stack runs its process."""

from worker.local.http import HttpServer
from worker.local.server import HOST


class Flower(HttpServer):
    """Flower on a port of 127.0.0.1."""

    def arguments(self) -> list[str]:
        """Choose a port, that of the last start if it is free; return Celery's arguments."""
        return ["flower", f"--address={HOST}", f"--port={self.choose_port()}"]

    def is_ready(self) -> bool:
        """Tell whether it answers, within a second."""
        return self.answers("/healthcheck")
