"""No limit of a template includes the time that its render waits."""

import time
from dataclasses import replace

import pytest

from db.cluster.processes import wait_until
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
        assert time.monotonic() - before >= START
        assert renderer.clock() - begin < START / 2


def test_no_limit_of_a_template_includes_what_its_thread_waits_for() -> None:
    """The database may take seconds to answer between two questions of the gate."""
    with Renderer(Limits()) as renderer:
        begin, before = renderer.clock(), time.monotonic()
        wait_until(lambda: time.monotonic() - before > PATIENCE, 10)
        assert renderer.clock() - begin < PATIENCE / 2


def test_the_clock_includes_what_render_processes_work() -> None:
    """A deadline ends questions whose work is done by others than this thread."""
    source = {"path": "body", "source": "{{ x }}" * 20_000, "html": True}
    with Renderer(replace(Limits(), render_seconds=30)) as renderer:
        renderer.start()
        begin, own = renderer.clock(), time.thread_time()
        renderer.inspect([source], {})
        elapsed = renderer.clock() - begin
        assert elapsed > 2 * (time.thread_time() - own)
