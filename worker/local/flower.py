"""Flower's port and health check; the stack runs its process."""

import http.client
from pathlib import Path
from typing import Final

from db.cluster.processes import write_private
from worker.local.server import HOST, free_port, read_port

PING_TIMEOUT: Final = 1.0


class Flower:
    """Flower on a port of 127.0.0.1; the port is stored in a file."""

    def __init__(self, port_file: Path) -> None:
        self._port_file = port_file

    @property
    def url(self) -> str:
        """Its address, of the last start if it does not run."""
        return f"http://{HOST}:{read_port(self._port_file)}/"

    def arguments(self) -> list[str]:
        """Choose a port, that of the last start if it is free; return Celery's arguments."""
        port = free_port(read_port(self._port_file))
        write_private(self._port_file, str(port))
        return ["flower", f"--address={HOST}", f"--port={port}"]

    def answers(self) -> bool:
        """Tell whether it answers, within a second."""
        port = read_port(self._port_file) or 0
        connection = http.client.HTTPConnection(HOST, port, timeout=PING_TIMEOUT)
        try:
            connection.request("GET", "/healthcheck")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
