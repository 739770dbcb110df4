"""Chromium, driven through its DevTools protocol as a person would use it: keys, and what is shown.

https://chromedevtools.github.io/devtools-protocol/
"""

import asyncio
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any, Final, Self

from tornado.websocket import WebSocketClientConnection, websocket_connect

from tests.browser.screenshots import SECONDS, program

_POLL_SECONDS: Final = 0.02
_KEYS: Final = {"Tab": 9, "Enter": 13, " ": 32, "ArrowDown": 40, "Backspace": 8}


class Browser:
    """One page of a browser. Use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._profile = folder / "profile"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: WebSocketClientConnection | None = None
        self._number = 0
        self.requested: list[str] = []
        """The addresses of all requests."""
        self.complaints: list[str] = []
        """What the page's script or its policy complained of."""

    def __enter__(self) -> Self:
        """Start the browser."""
        self._process = subprocess.Popen(
            [
                program(),
                "--headless=new",
                "--no-sandbox",  # which needs rights that a container has not
                "--disable-gpu",
                "--disable-background-networking",
                # One process shows page and frames, so that one connection sees all of them.
                "--disable-features=IsolateSandboxedIframes",
                "--window-size=1400,1000",
                "--remote-debugging-port=0",
                f"--user-data-dir={self._profile}",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(self._folder)},
        )
        self._connection = self._loop.run_until_complete(self._connected())
        for domain in ("Page", "Runtime", "Network", "Accessibility", "Log"):
            self.send(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        """End the browser."""
        if self._connection is not None:
            self._connection.close()
        assert self._process is not None
        self._process.terminate()
        self._process.wait(SECONDS)
        self._loop.close()

    def open(self, url: str) -> None:
        """Show a page."""
        self.send("Page.navigate", url=url)

    def evaluate(self, script: str) -> Any:  # noqa: ANN401 - a JSON value
        """Return what an expression is on the page."""
        answer = self.send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, script: str) -> None:
        """Wait until an expression holds on the page."""
        end = time.monotonic() + SECONDS
        while not self._holds(script):
            assert time.monotonic() < end, f"{script}\n{self.text()}"
            time.sleep(_POLL_SECONDS)

    def _holds(self, script: str) -> bool:
        try:
            return bool(self.evaluate(script))
        except DriverError:
            return False  # another page is being loaded

    def wait_for_text(self, text: str) -> None:
        """Wait until the page shows a text."""
        self.wait(f"document.body?.innerText.includes({json.dumps(text)})")

    def text(self) -> str:
        """Return what the page shows."""
        return str(self.evaluate("document.body.innerText"))

    def wait_for_frame(self, title: str, text: str) -> None:
        """Wait until the frame of a title shows a text."""
        end = time.monotonic() + SECONDS
        while text not in (shown := self.frame_text(title)):
            assert time.monotonic() < end, shown
            time.sleep(_POLL_SECONDS)

    def frame_text(self, title: str) -> str:
        """Return what a reader of the frame with a title is told, as a screen reader reads it."""
        tree = self.send("Page.getFrameTree")["frameTree"]
        names = self.evaluate("[...document.querySelectorAll('iframe')].map((each) => each.title)")
        frames = [each["frame"] for each in tree.get("childFrames", [])]
        index = names.index(title)
        if index >= len(frames):
            return ""
        try:
            nodes = self.send("Accessibility.getFullAXTree", frameId=frames[index]["id"])["nodes"]
        except DriverError:
            return ""  # it is being replaced
        return " ".join(
            node["name"]["value"]
            for node in nodes
            if node["role"]["value"] == "StaticText" and node.get("name")
        )

    def accessible(self) -> list[tuple[str, str]]:
        """Return role and name of all that a screen reader tells of the page."""
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in self.send("Accessibility.getFullAXTree")["nodes"]
            if not node.get("ignored")
        ]

    def press(self, key: str) -> None:
        """Press a key."""
        text = {"Enter": "\r", " ": " "}.get(key, key if len(key) == 1 else "")
        code = _KEYS.get(key, ord(key) if len(key) == 1 else 0)
        keys: dict[str, Any] = {"key": key, "windowsVirtualKeyCode": code, "text": text}
        self.send("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **keys)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def type(self, text: str) -> None:
        """Type a text where the focus is."""
        self.send("Input.insertText", text=text)

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401 - of the protocol
        """Send a command; return its answer."""
        return self._loop.run_until_complete(self._sent(method, parameters))

    async def _sent(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        connection = self._connection
        assert connection is not None
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        await connection.write_message(json.dumps(command))
        while True:
            message = await asyncio.wait_for(connection.read_message(), SECONDS)
            assert message is not None, "the browser has ended"
            answer = json.loads(message)
            if answer.get("id") != self._number:
                self._note(answer)
                continue
            if "error" in answer:
                raise DriverError(answer["error"]["message"])
            result: dict[str, Any] = answer["result"]
            return result

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            self.requested.append(parameters["request"]["url"])
        elif event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(parameters["exceptionDetails"]))
        elif event.get("method") == "Log.entryAdded":
            self.complaints.append(parameters["entry"]["text"])

    async def _connected(self) -> WebSocketClientConnection:
        file = self._profile / "DevToolsActivePort"
        end = time.monotonic() + SECONDS
        while not file.exists() or "\n" not in file.read_text():
            assert time.monotonic() < end, "the browser did not start"
            await asyncio.sleep(_POLL_SECONDS)
        port = file.read_text().split("\n")[0]
        page = await self._page(port)
        return await websocket_connect(page, max_message_size=2**28)

    async def _page(self, port: str) -> str:
        from tornado.httpclient import AsyncHTTPClient  # noqa: PLC0415

        answer = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/json/list")
        (page,) = (each for each in json.loads(answer.body) if each["type"] == "page")
        return str(page["webSocketDebuggerUrl"])


class DriverError(Exception):
    """The browser refused a command."""
