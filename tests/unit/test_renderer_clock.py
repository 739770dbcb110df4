"""The time that a process takes to start is not a template's."""

import signal
import sys
import time
from dataclasses import replace
from importlib.abc import MetaPathFinder

import pytest

from tasks.rendering import client
from tasks.rendering.child import RenderProcess
from tasks.rendering.client import Renderer
from tasks.rendering.frames import decode, encode
from tasks.rendering.limits import Limits
from tasks.rendering.process import Server
from tests.support.cases import each

START = 2.0
PATIENCE = 1.9


def test_no_limit_of_a_template_includes_the_start_of_a_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process that starts slowly, on a busy machine, still has all of the trial's time."""

    def start_slowly(limits: Limits) -> RenderProcess:
        end = time.monotonic() + START
        process = RenderProcess(limits)
        time.sleep(max(0.0, end - time.monotonic()))
        return process

    monkeypatch.setattr(client, "RenderProcess", start_slowly)
    source = {"path": "body", "source": "Hello {{ name }}", "html": False}
    with Renderer(Limits()) as renderer:
        before, begin = time.monotonic(), renderer.clock()
        placeholders, problems = renderer.inspect([source], {}, begin + PATIENCE)
        assert (placeholders, problems) == ({"body": ["name"]}, [])
        elapsed = time.monotonic() - before
        assert elapsed - (renderer.clock() - begin) >= START


LOADED_LATER = {
    "inline": ("inline_css", "<style>p { margin: 0 }</style><p>Hello</p>"),
    "compile_mjml": ("mjml", "<mjml><mj-body></mj-body></mjml>"),
}


@each("operation", LOADED_LATER)
def test_no_limit_of_a_template_includes_the_time_to_load_a_library(
    monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """While the first template that needs it waits for it, no timer runs."""
    name, source = LOADED_LATER[operation]
    timers: list[float] = []

    class Recorder(MetaPathFinder):
        def find_spec(self, fullname: str, *_: object) -> None:
            if fullname == f"tasks.rendering.{name}":
                timers.append(signal.getitimer(signal.ITIMER_REAL)[0])

    monkeypatch.delitem(sys.modules, f"tasks.rendering.{name}", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Recorder(), *sys.meta_path])
    server = Server(replace(Limits(), render_seconds=600.0))
    sources = [{"path": "body", "source": source}]
    request = {"operation": operation, "deadline": None, "sources": sources}
    signal.setitimer(signal.ITIMER_REAL, 600)
    try:
        (answer,) = server.respond([encode(request)])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    assert "ok" in decode(answer)
    assert timers == [0.0]
