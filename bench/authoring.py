"""Templates as files: check and push of a thousand, and the preview's reload."""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import websocket_connect

from bench import templates
from bench.line import Line
from bench.producer import Producer
from tasks.rendering.client import Renderer
from tasks.rendering.limits import Limits
from worker.local import LocalStack
from worker.preview.server import serve
from worker.preview.session import Session

COUNT: Final = 1000
PRODUCERS: Final = 20
RELOADS: Final = 20
UNCHANGED_SECONDS: Final = 3.0
CHECK_SECONDS: Final = 10.0
RELOAD_MS: Final = 300.0
_HEADER: Final = """\
name = "Bench"
type = "email"
language = "en"

[[variables]]
name = "first_name"
type = "string"
example = "Ada"
"""


def measure(local: LocalStack, folder: Path) -> Iterator[Line]:
    """Yield what the issue of templates as files set goals for."""
    _write(folder, "Hello")
    yield _within(
        "check of 1,000 templates, offline", _command(local, folder, "check"), CHECK_SECONDS
    )
    _command(local, folder, "push")
    yield _within("push of 1,000 unchanged", _command(local, folder, "push"), UNCHANGED_SECONDS)
    _write(folder, "Dear")
    pushed = COUNT / _command(local, folder, "push")
    produced = _parallel(Producer(local.producer()))
    name = "push of 1,000 changed / 20 producers"
    yield Line(name, pushed, "/s", produced, pushed / produced, 1.0)
    with Renderer(Limits()) as renderer:
        reload_ms = asyncio.run(_reload(folder, renderer)) * 1000
    yield Line("live reload of 1,000, p50", reload_ms, "ms", RELOAD_MS, RELOAD_MS / reload_ms, 1.0)


def _within(name: str, seconds: float, most: float) -> Line:
    return Line(name, seconds, "s", most, most / seconds, 1.0)


def _write(folder: Path, greeting: str) -> None:
    for number in range(COUNT):
        path = folder / f"{templates.FIRST}{number}"
        path.mkdir(parents=True, exist_ok=True)
        (path / "template.toml").write_text(_HEADER)
        (path / "subject.txt").write_text(f"{greeting} {{{{ first_name }}}}\n")
        (path / "body.html").write_text(_body(greeting, number))


def _body(greeting: str, number: int) -> str:
    return f"<p>{greeting} {{{{ first_name }}}},</p>\n<p>this is mail {number}.</p>\n"


def _command(local: LocalStack, folder: Path, command: str) -> float:
    """Run a command of templates; return its seconds."""
    start = time.perf_counter()
    subprocess.run(
        [
            Path(sys.executable).with_name("template-service"),
            "templates",
            command,
            "--folder",
            folder,
        ],
        env=local.environment(),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - start


def _parallel(producer: Producer) -> float:
    """Return publishes per second of producers who each wait for their answers."""

    def publish(number: int) -> None:
        version = {
            "subject": "Hi {{ first_name }}",
            "body": _body("Hi", number),
            "variables": [{"name": "first_name", "type": "string", "example": "Ada"}],
        }
        name = f"{templates.FIRST}{number}"
        template = {"template_id": name, "name": "Bench", "type": "email", "version": version}
        producer.call("bundle.apply", {"templates": [template]})

    start = time.perf_counter()
    with ThreadPoolExecutor(PRODUCERS) as pool:
        list(pool.map(publish, range(COUNT)))
    return COUNT / (time.perf_counter() - start)


async def _reload(folder: Path, renderer: Renderer) -> float:
    """Return the seconds from saving a file to having its new render, the median."""
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    server = asyncio.create_task(serve(Session(folder, renderer, "en"), 0, ready.set_result, stop))
    try:
        address = urlsplit(await ready)._replace(path="")
        name = f"{templates.FIRST}0"
        origin = {"Origin": address.geturl()}
        page = await websocket_connect(
            HTTPRequest(address._replace(scheme="ws", path="/api/changes").geturl(), headers=origin)
        )
        await page.write_message(name)
        taken = []
        for turn in range(RELOADS):
            text = f"<p>Turn {turn}</p>"
            start = time.perf_counter()
            (folder / name / "body.html").write_text(text)
            while True:
                await page.read_message()
                if text in await _view(address.geturl(), name):
                    break
            taken.append(time.perf_counter() - start)
        page.close()
        return statistics.median(taken)
    finally:
        stop.set()
        await server


async def _view(address: str, name: str) -> str:
    headers = {"Content-Type": "application/json", "Origin": address}
    asked = {"template_id": name, "language": None, "sample": None, "values": None}
    request = HTTPRequest(
        f"{address}/api/view", method="POST", headers=headers, body=json.dumps(asked)
    )
    answer = await AsyncHTTPClient().fetch(request)
    return str(json.loads(answer.body)["rendered"])
