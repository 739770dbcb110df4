"""A network that fails: connections through a port of its own, silenced or cut at will."""

import contextlib
import select
import socket
import threading
from collections.abc import Callable
from typing import Final, Self

from worker.local.server import HOST, free_port

CHUNK: Final = 65_536
JOIN_SECONDS: Final = 10


class Proxy:
    """Forwards connections of 127.0.0.1 to a server there.

    Parameters
    ----------
    target
        Returns the port of the server, which may change from one start to the next.

    Attributes
    ----------
    port
        Its own, the same for all time.
    cut
        How many replies :meth:`cut_replies_to` has withheld.
    """

    def __init__(self, target: Callable[[], int]) -> None:
        self.port = free_port()
        self.cut = 0
        self._target = target
        self._lock = threading.Lock()
        self._links: set[_Link] = set()
        self._listener: socket.socket | None = None
        self._accepting: threading.Thread | None = None
        self._words = b""
        self._cuts_left = 0

    def __enter__(self) -> Self:
        """Start to listen."""
        self.come_back()
        return self

    def __exit__(self, *_: object) -> None:
        """Close everything."""
        self.go_away()

    def come_back(self) -> None:
        """Accept connections, again."""
        if self._listener is not None:
            return
        self._listener = socket.create_server((HOST, self.port))
        self._accepting = threading.Thread(target=self._accept, args=(self._listener,))
        self._accepting.start()

    def go_away(self) -> None:
        """Refuse connections and reset those there are, as when a server's machine is gone."""
        listener, self._listener = self._listener, None
        if listener is not None:
            # close() alone would leave accept() waiting for one connection more.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        if self._accepting is not None:
            self._accepting.join(JOIN_SECONDS)
        for link in self._taken():
            link.close()
            link.join(JOIN_SECONDS)

    def silence(self) -> int:
        """Leave the connections of now half-open; return how many there were.

        The server's end is closed, the client hears nothing of it and gets no reply any more: so
        it is when the server's machine is started anew, or a firewall forgets its connections.
        What is connected later works.
        """
        links = self._all()
        for link in links:
            link.silence()
        return len(links)

    def cut_replies_to(self, words: bytes, times: int) -> None:
        """Let a request with these words through, but close its connection before the reply."""
        with self._lock:
            self._words = words
            self._cuts_left = times

    def takes_reply(self, request: bytes) -> bool:
        """Tell whether the reply to these bytes must not come back."""
        with self._lock:
            if not self._cuts_left or self._words not in request:
                return False
            self._cuts_left -= 1
            return True

    def discard(self, link: "_Link") -> None:
        """Forget a connection that is closed."""
        with self._lock:
            self._links.discard(link)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection((HOST, self._target()), timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            link = _Link(self, client, server)
            with self._lock:
                self._links.add(link)
            link.start()

    def _all(self) -> list["_Link"]:
        with self._lock:
            return list(self._links)

    def _taken(self) -> list["_Link"]:
        with self._lock:
            links = list(self._links)
            self._links.clear()
            return links


class _Link(threading.Thread):
    """One connection, in both directions."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        super().__init__()
        self.is_silent = False
        self._proxy = proxy
        self._client = client
        self._server = server
        self._withholds_reply = False
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Close both ends."""
        for each in (self._client, self._server):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def silence(self) -> None:
        """Close the server's end, and swallow what the client sends from now on."""
        self.is_silent = True
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        """Forward until one end closes; a silenced connection lasts until the client ends it."""
        with self._client, self._server:
            ends = [self._client, self._server]
            while ends:
                for source in select.select(ends, [], [])[0]:
                    data = _received(source)
                    if self.is_silent:
                        if not data:
                            ends.remove(source)
                    elif not (data and self._forward(source, data)):
                        ends.clear()
                        break
            self._proxy.discard(self)

    def _forward(self, source: socket.socket, data: bytes) -> bool:
        is_request = source is self._client
        if is_request and self._proxy.takes_reply(data):
            self._withholds_reply = True
        elif not is_request and self._withholds_reply:
            self._proxy.cut += 1
            return False
        try:
            (self._server if is_request else self._client).sendall(data)
        except OSError:
            return False
        return True


def _received(source: socket.socket) -> bytes:
    try:
        return source.recv(CHUNK)
    except OSError:
        return b""
