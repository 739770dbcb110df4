"""The time that a process takes to start is not a template's."""

import time

import pytest

from tasks.rendering import client
from tasks.rendering.child import RenderProcess
from tasks.rendering.client import Renderer
from tasks.rendering.limits import Limits

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
