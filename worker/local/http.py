"""HTTP servers of the stack's processes: their ports and health checks."""

import http.client
from pathlib import Path
from typing import Final

from db.cluster.processes import write_private
from worker.local.server import HOST, free_port, read_port

PING_TIMEOUT: Final = 1.0


class HttpServer:
    """A server on a port of 127.0.0.1; the port is stored in a file."""

    def __init__(self, port_file: Path) -> None:
        self._port_file = port_file

    @property
    def url(self) -> str:
        """The server's address; of the last start if it does not run."""
        return f"http://{HOST}:{read_port(self._port_file)}/"

    def choose_port(self) -> int:
        """Choose a port: the last start's if it is free."""
        port = free_port(read_port(self._port_file))
        write_private(self._port_file, str(port))
        return port

    def answers(self, path: str) -> bool:
        """Return whether it answers with 200, within a second."""
        port = read_port(self._port_file) or 0
        connection = http.client.HTTPConnection(HOST, port, timeout=PING_TIMEOUT)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
