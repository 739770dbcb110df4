"""HTTP server of metrics and health: a thread that no client can keep busy for long."""

import logging
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6, socket
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from worker.metrics.health import Answer, current

logger = logging.getLogger(__name__)

MOST_REQUESTS: Final = 8
"""Requests that are answered at the same time; more are closed unanswered."""
SOCKET_SECONDS: Final = 5.0
"""How long a client may take to send its request and to take the answer."""


class _Handler(BaseHTTPRequestHandler):
    timeout: ClassVar[float] = SOCKET_SECONDS
    server_version = "template-service"
    sys_version = ""
    server: "MetricsServer"

    def do_GET(self) -> None:
        """Answer a request."""
        match urlsplit(self.path).path:
            case "/metrics":
                encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                self._send(HTTPStatus.OK, content_type, encode(self.server.registry))
            case "/healthz":
                self._send_health(current().alive)
            case "/readyz":
                self._send_health(current().ready)
            case _:
                words = b"not found: there are /metrics, /healthz and /readyz\n"
                self._send(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", words)

    do_HEAD = do_GET  # noqa: N815 - the same

    def log_message(self, *_: object) -> None:
        """Log nothing: a scrape every few seconds is no event."""

    def _send_health(self, check: Callable[[], Answer]) -> None:
        answer = check()
        status = HTTPStatus.OK if answer.is_good else HTTPStatus.SERVICE_UNAVAILABLE
        self._send(status, "text/plain; charset=utf-8", f"{answer.words}\n".encode())

    def _send(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class MetricsServer(ThreadingHTTPServer):
    """Serves ``/metrics``, ``/healthz`` and ``/readyz`` until the process ends.

    Raises
    ------
    OSError
        The address cannot be used.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.address_family = AF_INET6 if ":" in host else AF_INET
        self._free = threading.BoundedSemaphore(MOST_REQUESTS)
        super().__init__((host, port), _Handler)
        threading.Thread(target=self.serve_forever, name="metrics", daemon=True).start()

    def process_request(self, request: socket, client_address: Any) -> None:  # type: ignore[override]  # noqa: ANN401 - an address of any family
        """Answer in a thread, if not too many are busy."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: socket, client_address: Any) -> None:  # type: ignore[override]  # noqa: ANN401 - the same
        """Answer one request."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, *_: object) -> None:
        """Log at DEBUG: clients that go away early are no concern of an operator."""
        logger.debug("A client of the metrics has gone away")
