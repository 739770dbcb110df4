"""The preview's server: on this machine only, with live reload."""

import asyncio
import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop, PeriodicCallback
from tornado.web import Application, HTTPError, RequestHandler
from tornado.websocket import WebSocketHandler

from db.errors import OperationError
from tasks.rendering.outputs import is_html
from worker.preview.pages import Pages, has_dark_styles, inbox_line, shown
from worker.preview.session import Session, snapshot

ADDRESS: Final = "127.0.0.1"
WATCH_MILLISECONDS: Final = 50
"""Between two looks at the files that are shown: a change is to be seen within 300 ms."""

SCAN_MILLISECONDS: Final = 1000
"""Between two looks at all files, for the list."""

_ASSETS: Final = Path(__file__).parent / "assets"
_TYPES: Final = {"page.css": "text/css", "page.js": "text/javascript"}
_PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "frame-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
# Scripts do not run, and nothing is loaded from another host: a preview must not report to one.
_FRAME_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox"
)
_BODY_BYTES: Final = 4 * 1024 * 1024
T = TypeVar("T")


class Preview:
    """The page, and the folder behind it.

    ``session`` is used by one thread at a time: the pool has one.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._pool = ThreadPoolExecutor(1)
        self._is_scanning = False
        self.pages = Pages()
        self.watchers: dict[Changes, str] = {}

    async def run(self, work: Callable[[Session], T]) -> T:
        """Return what ``work`` gives of the session, without holding up other requests."""
        return await IOLoop.current().run_in_executor(self._pool, work, self._session)

    async def watch(self) -> None:
        """Notify the pages of changes in the templates that they show."""
        ids = {each for each in self.watchers.values() if each}
        if ids:
            self._tell(await self.run(lambda session: session.changed(ids)))

    async def scan(self) -> None:
        """Notify the pages of all other changes, including new templates."""
        if self._is_scanning or not self.watchers:
            return
        self._is_scanning = True
        try:
            # Apart from the session, so that a page need not wait for a thousand folders.
            now = await IOLoop.current().run_in_executor(None, snapshot, self._session.root)
            self._tell(await self.run(lambda session: session.catch_up(now)))
        finally:
            self._is_scanning = False

    def close(self) -> None:
        """Wait for running requests."""
        self._pool.shutdown()

    def _tell(self, changed: set[str] | None) -> None:
        if changed is None or changed:
            message = json.dumps({"changed": None if changed is None else sorted(changed)})
            for watcher in list(self.watchers):
                watcher.write_message(message)


class Handler(RequestHandler):
    """A request of the page itself, on this machine."""

    policy = _PAGE_POLICY
    preview: Preview
    hosts: frozenset[str]

    def initialize(self, preview: Preview, hosts: frozenset[str]) -> None:
        """Store the objects that all handlers share."""
        self.preview = preview
        self.hosts = hosts

    def prepare(self) -> None:
        """Refuse requests of other pages: by another name of this address, or across origins."""
        if self.request.host not in self.hosts:
            raise HTTPError(403, reason="Not a name of this machine")
        if self.request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}:
            raise HTTPError(403, reason="Another page's request")

    def set_default_headers(self) -> None:
        """Set what keeps the page to itself."""
        self.clear_header("Server")
        self.set_header("Content-Security-Policy", self.policy)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")


class Page(Handler):
    """The page, its style sheet and its script."""

    def get(self, name: str = "") -> None:
        """Answer a file."""
        self.set_header("Content-Type", f"{_TYPES.get(name, 'text/html')}; charset=utf-8")
        self.write((_ASSETS / (name or "page.html")).read_bytes())


class Templates(Handler):
    """The list of templates."""

    async def get(self) -> None:
        """Answer the templates of the folder."""
        templates = await self.preview.run(lambda session: session.templates())
        problems = await self.preview.run(lambda session: session.problems())
        self.write({"templates": templates, "problems": problems})


class View(Handler):
    """One template, rendered."""

    async def post(self) -> None:
        """Answer what the page shows of a template."""
        if not self.request.headers.get("Content-Type", "").startswith("application/json"):
            raise HTTPError(415)
        try:
            view = _asked(json.loads(self.request.body))
        except (ValueError, RecursionError):
            raise HTTPError(400) from None
        found = await self.preview.run(view)
        if found is None:
            raise HTTPError(404)
        rendered = found["rendered"]
        if rendered is not None and is_html(found["type"]):
            found["frame"] = self.preview.pages.add(rendered["body"])
            found["has_dark_styles"] = has_dark_styles(rendered["body"])
            found["inbox_line"] = inbox_line(rendered["body"])
        self.write(found)


def _asked(question: Any) -> Callable[[Session], dict[str, Any] | None]:  # noqa: ANN401 - a JSON value
    """Return the answer to a request of the page; raise ValueError if it is unknown."""
    match question:
        case {
            "template_id": str(template_id),
            "language": str() | None as language,
            "sample": str() | None as sample,
            "values": dict() | None as values,
        }:
            return lambda session: session.view(
                template_id, language=language, sample=sample, values=values
            )
    raise ValueError("a question that the page does not ask")


class Frame(Handler):
    """A rendered body, alone in its frame."""

    policy = _FRAME_POLICY

    def get(self, name: str) -> None:
        """Answer a body."""
        body = self.preview.pages.get(name)
        if body is None:
            raise HTTPError(404)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        is_dark = self.get_query_argument("dark", "") == "1"
        is_rtl = self.get_query_argument("rtl", "") == "1"
        self.write(shown(body, dark=is_dark, right_to_left=is_rtl))


class Changes(WebSocketHandler):
    """Notifies a page of changed templates."""

    preview: Preview
    hosts: frozenset[str]

    def initialize(self, preview: Preview, hosts: frozenset[str]) -> None:
        """Store the objects that all handlers share."""
        self.preview = preview
        self.hosts = hosts

    def check_origin(self, origin: str) -> bool:
        """Return whether the page is this server's own."""
        is_own = urlsplit(origin).netloc == self.request.host
        return is_own and self.request.host in self.hosts

    def open(self, *_: str, **__: str) -> None:
        """Register the page for notifications."""
        self.preview.watchers[self] = ""

    def on_message(self, message: str | bytes) -> None:
        """Take the template that the page shows."""
        self.preview.watchers[self] = message if isinstance(message, str) else ""

    def on_close(self) -> None:
        """End."""
        self.preview.watchers.pop(self, None)


async def serve(
    session: Session, port: int, ready: Callable[[str], None], stop: asyncio.Event
) -> None:
    """Serve the preview until ``stop`` is set.

    Parameters
    ----------
    session
        The folder.
    port
        On the loopback address; 0 takes a free one.
    ready
        Called with the page's address.
    stop
        Ends the server.

    Raises
    ------
    OperationError
        The port is taken.
    """
    try:
        listening = socket.create_server((ADDRESS, port))
    except OSError as error:
        message = f"port {port} of this machine cannot be used: {error.strerror}"
        raise OperationError("port", message, "pass another one with --port") from None
    listening.settimeout(0)
    port = listening.getsockname()[1]
    preview = Preview(session)
    names = frozenset(f"{name}:{port}" for name in (ADDRESS, "localhost"))
    shared = {"preview": preview, "hosts": names}
    routes: list[Any] = [
        (r"/", Page, shared),
        (r"/assets/(page\.css|page\.js)", Page, shared),
        (r"/api/templates", Templates, shared),
        (r"/api/view", View, shared),
        (r"/api/changes", Changes, shared),
        (r"/frame/([0-9a-f]{64})", Frame, shared),
    ]
    server = HTTPServer(Application(routes, log_function=_ignored), max_body_size=_BODY_BYTES)
    server.add_socket(listening)
    timers = [
        PeriodicCallback(preview.watch, WATCH_MILLISECONDS),
        PeriodicCallback(preview.scan, SCAN_MILLISECONDS),
    ]
    for timer in timers:
        timer.start()
    ready(f"http://localhost:{port}/")
    try:
        await stop.wait()
    finally:
        for timer in timers:
            timer.stop()
        server.stop()
        await server.close_all_connections()
        preview.close()


def _ignored(_: RequestHandler) -> None:
    """Log nothing: the terminal shows the address of the page."""
