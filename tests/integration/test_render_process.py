"""The render process: what goes over a limit costs one clear error and never the worker."""

import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from babel import localedata

from db.cluster.processes import wait_until
from tasks.errors import Code, ServiceError
from tasks.rendering.child import RenderProcessError
from tasks.rendering.client import Renderer
from tasks.rendering.frames import decode, encode
from tasks.rendering.limits import Limits
from tests.support.cases import each
from tests.support.sources import source_of

LIMITS = Limits()
SHORT = replace(LIMITS, render_seconds=0.25)
"""For what must not end by itself: no test needs to wait longer to see it stopped."""

# One for each limit of a render process; tests/support/corpus.py has a case for each filter.
BOMBS = {
    "doubling": "{% set ns = namespace(x='ab') %}{% for i in range(60) %}"
    "{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x|length }}",
    "nested loops": "{% for a in range(10000) %}{% for b in range(10000) %}{% for c in "
    "range(10000) %}{% endfor %}{% endfor %}{% endfor %}",
    "printing loops": "{% for a in range(10000) %}{% for b in range(10000) %}aaaaaaaaaaaaaaaa"
    "{% endfor %}{% endfor %}",
    "many large prints": "{% for a in range(10000) %}{{ small }}{% endfor %}",
    "recursion with text": "{% macro m(n) %}{{ big }}{{ m(n) }}{{ m(n) }}{% endmacro %}{{ m(0) }}",
    "nesting": "{% set ns = namespace(x=[]) %}{% for i in range(50000) %}{% set ns.x = [ns.x] %}"
    "{% endfor %}{{ ns.x|tojson }}",
    "sorting": "{% for a in range(10000) %}{{ big|sort|length }}{% endfor %}",
}


LANGUAGES = sorted(tag for tag in localedata.locale_identifiers() if "_" not in tag)[:40]


@pytest.fixture(scope="module")
def shared() -> Iterator[Renderer]:
    """Give render processes with the limits of the contract."""
    with Renderer(LIMITS) as renderer:
        yield renderer


@pytest.fixture(scope="module")
def hasty() -> Iterator[Renderer]:
    """Give render processes that have less time."""
    with Renderer(SHORT) as renderer:
        yield renderer


@pytest.fixture
def renderer() -> Iterator[Renderer]:
    """Give render processes that no other test uses."""
    with Renderer(LIMITS) as renderer:
        yield renderer


def body(renderer: Renderer, source: str, **values: object) -> str:
    """Render an HTML body."""
    return str(renderer.render(source_of(source), encode(values))["body"])


def only_pid(renderer: Renderer) -> int:
    """Return the one idle render process."""
    (pid,) = renderer.process_ids
    return pid


@each("bomb", BOMBS)
def test_a_render_over_a_limit_is_one_error_and_the_next_works(hasty: Renderer, bomb: str) -> None:
    """The next message is served by a process in full health."""
    with pytest.raises(ServiceError) as caught:
        body(hasty, BOMBS[bomb], big="a" * 200_000, small="a" * 10_000)
    assert caught.value.code == Code.RENDER_LIMIT_EXCEEDED
    assert body(hasty, "{{ x }}", x=1) == "1"


def test_time_is_limited(renderer: Renderer) -> None:
    """The error has the limit; a new process renders the next message."""
    renderer.start()
    before = only_pid(renderer)
    start = time.monotonic()
    with pytest.raises(ServiceError) as caught:
        # Few engine steps that take long each: fuel does not bound them.
        body(renderer, BOMBS["sorting"], big="ab" * 100_000)
    took = time.monotonic() - start
    assert took > LIMITS.render_seconds * 0.9, "all of it may be used"
    assert caught.value.code == Code.RENDER_LIMIT_EXCEEDED
    assert "1 s" in caught.value.message
    assert not psutil.pid_exists(before)
    assert body(renderer, "{{ x }}", x=1) == "1"
    assert only_pid(renderer) != before


def test_memory_is_limited_in_the_render_process_only() -> None:
    """The error has the limit, and the worker process does not grow."""
    before = psutil.Process().memory_info().rss
    # As much time as a busy machine needs to get there.
    slow_renderer = Renderer(replace(LIMITS, render_seconds=30))
    with slow_renderer, pytest.raises(ServiceError) as caught:
        body(slow_renderer, BOMBS["doubling"])
    assert caught.value.code == Code.RENDER_LIMIT_EXCEEDED
    assert str(LIMITS.render_memory_bytes) in caught.value.message
    assert psutil.Process().memory_info().rss - before < 64 * 1024 * 1024


def fill(renderer: Renderer, count: int) -> None:
    """Render in many languages, of which a process keeps the data: a megabyte for each."""
    for language in LANGUAGES[:count]:
        text = source_of("{{ d | date('long') }}", language=language)
        assert renderer.render(text, encode({"d": "2026-03-05"}))["body"]


def test_memory_for_other_templates_is_not_held_against_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A process that keeps too much of them makes way for another, between two requests."""
    small = replace(LIMITS, render_memory_mb=96)
    with caplog.at_level(logging.INFO), Renderer(small) as renderer:
        fill(renderer, len(LANGUAGES))
    replacements = [line for line in caplog.messages if "render_process_replaced" in line]
    assert replacements
    assert all("cause=full" in line for line in replacements)


@each("is_stream", [False, True])
def test_a_render_that_a_used_process_has_no_memory_for_gets_a_new_one(
    is_stream: bool,  # noqa: FBT001 - a column of the table
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A render may use all the memory of a new process, and is refused if it needs more."""
    small = replace(LIMITS, render_memory_mb=96, render_seconds=30)
    caplog.clear()
    large = source_of("{% set a = '-' * 15000000 %}{{ a | length }}")
    with caplog.at_level(logging.INFO), Renderer(small) as renderer:
        fill(renderer, 16)
        assert not caplog.messages
        if is_stream:
            with renderer.stream(time.monotonic() + 30) as stream:
                stream.put([large], [(0, b"{}")])
                (answer,) = stream.take()
            assert decode(answer)["ok"]["body"] == "15000000"
        else:
            assert renderer.render(large, b"{}")["body"] == "15000000"
        assert "cause=limit" in caplog.text
        with pytest.raises(ServiceError) as caught:
            body(renderer, "{% set a = '-' * 90000000 %}{{ a | length }}")
        assert caught.value.code == Code.RENDER_LIMIT_EXCEEDED


def test_output_is_limited(shared: Renderer) -> None:
    """2 MiB pass, one character more is refused; the error has limit and size."""
    assert len(body(shared, "{{ x * 16 }}", x="a" * 131_072)) == LIMITS.output_bytes
    with pytest.raises(ServiceError) as caught:
        body(shared, "{{ x * 16 }}b", x="a" * 131_072)
    assert caught.value.code == Code.RENDER_LIMIT_EXCEEDED
    assert "2097153" in caught.value.message
    assert "2097152" in caught.value.message


def test_the_time_limit_applies_to_each_render(renderer: Renderer) -> None:
    """Time that one render used is not taken from the next of the same process."""
    loop = "{% for a in range(1000) %}{{ big|length }}{% endfor %}"
    quick = Renderer(replace(LIMITS, render_seconds=0.4))
    with quick:
        for _ in range(10):
            body(quick, loop, big="a" * 50_000)
        end = time.monotonic() + 0.6
        wait_until(lambda: time.monotonic() > end, 1)
        assert body(quick, "{{ x }}", x=1) == "1", "an idle process has no timer"


@each(
    ("source", "code"),
    [
        ("{{ x|safe }}", Code.TEMPLATE_SYNTAX),
        ("{% autoescape false %}{{ x }}{% endautoescape %}", Code.TEMPLATE_SYNTAX),
        ("{{ debug() }}", Code.TEMPLATE_SYNTAX),
        ("{% include '/etc/passwd' %}", Code.TEMPLATE_SYNTAX),
        ("{{ x.__class__.__mro__ }}", Code.VARIABLES_INVALID),
        ("{% if %}", Code.TEMPLATE_SYNTAX),
        ("{{", Code.TEMPLATE_SYNTAX),
        ("{{ missing }}", Code.VARIABLES_INVALID),
        ("{{ none_value }}", Code.VARIABLES_INVALID),
        ("{{ {(1, 2): 3}|tojson }}", Code.TEMPLATE_SYNTAX),
        ("{{ d.items(**d) }}", Code.VARIABLES_INVALID),
        ("{{ {d: 1}|tojson }}", Code.VARIABLES_INVALID),
        ("{{ x|currency(x) }}", Code.VARIABLES_INVALID),
        ("{{ x|number('x') }}", Code.TEMPLATE_SYNTAX),
        ("{{ missing|join }}", Code.VARIABLES_INVALID),
        ("{{ x|tojson(indent=4) }}", Code.TEMPLATE_SYNTAX),
    ],
)
def test_an_invalid_template_does_not_end_the_process(
    shared: Renderer, source: str, code: Code
) -> None:
    """What is only wrong, and goes over no limit, is answered by the process itself."""
    body(shared, "warm")
    before = set(shared.process_ids)
    with pytest.raises(ServiceError) as caught:
        body(shared, source, x="<b>", d={"a": 1}, none_value=None)
    assert caught.value.code == code
    assert set(shared.process_ids) == before


def test_a_render_process_is_reused(renderer: Renderer) -> None:
    """Its start costs a thousand times as much as a render."""
    assert renderer.process_ids == []
    renderer.start()
    pid = only_pid(renderer)
    for number in range(200):
        assert body(renderer, "{{ x }}", x=number) == str(number)
    assert renderer.process_ids == [pid]


def test_a_process_that_was_killed_while_idle_is_replaced(renderer: Renderer) -> None:
    """The message that comes next notices nothing."""
    body(renderer, "warm")
    pid = only_pid(renderer)
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, 10)
    assert body(renderer, "{{ x }}", x=1) == "1"
    assert only_pid(renderer) != pid
    assert not psutil.pid_exists(pid), "it was not waited for"


def test_a_process_that_waits_for_a_processor_is_over_no_limit(renderer: Renderer) -> None:
    """On a busy machine a render takes longer; no template is to blame for it."""
    body(renderer, "warm")
    pid = only_pid(renderer)
    os.kill(pid, signal.SIGSTOP)
    busy = threading.Timer(2 * LIMITS.render_seconds, os.kill, (pid, signal.SIGCONT))
    busy.start()
    try:
        assert body(renderer, "{{ x }}", x=1) == "1"
    finally:
        busy.join()
    assert only_pid(renderer) == pid


def test_a_stopped_process_is_replaced(hasty: Renderer) -> None:
    """A process that does not answer at all costs its message an error, in time."""
    body(hasty, "warm")
    pid = only_pid(hasty)
    os.kill(pid, signal.SIGSTOP)
    assert wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, 10)
    with pytest.raises(RenderProcessError, match="signal 9"):
        body(hasty, "{{ x }}", x=1)
    assert body(hasty, "{{ x }}", x=1) == "1"
    assert not psutil.pid_exists(pid)


def test_writing_to_a_stopped_process_times_out(hasty: Renderer) -> None:
    """A pipe holds 64 KiB: writing more needs a reader, and has the same limit of time."""
    body(hasty, "warm")
    pid = only_pid(hasty)
    os.kill(pid, signal.SIGSTOP)
    assert wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, 10)
    # Should it block nevertheless, the test fails instead of waiting for ever.
    rescue = threading.Timer(60, os.kill, (pid, signal.SIGKILL))
    rescue.start()
    try:
        with pytest.raises(RenderProcessError, match="signal 9"):
            body(hasty, "{{ x|length }}", x="a" * 250_000)
        assert not rescue.finished.is_set()
    finally:
        rescue.cancel()
        rescue.join()
    assert body(hasty, "{{ x }}", x=1) == "1"


def test_concurrent_threads_get_their_own_answers(renderer: Renderer) -> None:
    """Under the threads pool no recipient gets another's text."""
    gate = threading.Barrier(4)

    def work(number: int) -> list[str]:
        gate.wait(30)
        return [body(renderer, "{{ x }}", x=f"{number}-{turn}") for turn in range(50)]

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(work, range(4)))
    assert answers == [[f"{number}-{turn}" for turn in range(50)] for number in range(4)]
    assert 1 <= len(renderer.process_ids) <= 4


def test_an_error_affects_only_its_own_thread(renderer: Renderer) -> None:
    """While one render goes over its limit, others are served."""
    with ThreadPoolExecutor(2) as pool:
        bomb = pool.submit(body, renderer, BOMBS["sorting"], big="ab" * 100_000)
        texts = [body(renderer, "{{ x }}", x=number) for number in range(100)]
        assert isinstance(bomb.exception(30), ServiceError)
    assert texts == [str(number) for number in range(100)]


def test_an_interrupted_render_leaves_no_answer_to_the_next(
    renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A soft time limit may come between question and answer: that process is thrown away."""

    class SoftLimitError(Exception):
        """Stands for Celery's SoftTimeLimitExceeded."""

    def interrupt(*_: object) -> None:
        raise SoftLimitError

    body(renderer, "warm")
    pid = only_pid(renderer)
    with monkeypatch.context() as patch:
        patch.setattr("tasks.rendering.child.RenderProcess.receive", interrupt)
        with pytest.raises(SoftLimitError):
            body(renderer, "{{ x }}", x="first recipient")
    assert not psutil.pid_exists(pid)
    assert body(renderer, "{{ x }}", x="second recipient") == "second recipient"


@each("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP])
def test_signals_to_the_process_group_do_not_end_the_render_process(
    renderer: Renderer, number: signal.Signals
) -> None:
    """A warm shutdown signals the whole group, and the messages at hand are finished first."""
    body(renderer, "warm")
    pid = only_pid(renderer)
    os.kill(pid, number)
    assert body(renderer, "{{ x }}", x=1) == "1"
    assert only_pid(renderer) == pid


def test_the_render_process_inherits_no_secrets_and_no_files(
    renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where templates run there are no passwords, and no open file of the worker's."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:SEKRET@localhost/db")
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://:SEKRET@localhost/0")
    with Path(__file__).open(encoding="utf-8") as opened:
        os.set_inheritable(opened.fileno(), True)  # noqa: FBT003 - its only argument
        renderer.start()
        pid = only_pid(renderer)
        names = {line.split("=")[0] for line in _environment(pid)}
        of_malloc = {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"}
        assert names <= {"PYTHONPATH", "LC_CTYPE", *of_malloc}
        assert "SEKRET" not in "".join(_environment(pid))
        assert "SEKRET" not in " ".join(psutil.Process(pid).cmdline())
        files = [Path(file.path).name for file in psutil.Process(pid).open_files()]
        assert Path(__file__).name not in files


def test_kernel_limits_are_set(renderer: Renderer) -> None:
    """Address space as set, and no core file, which would hold values."""
    renderer.start()
    body(renderer, "warm")
    process = psutil.Process(only_pid(renderer))
    assert process.rlimit(psutil.RLIMIT_AS) == (LIMITS.render_memory_bytes,) * 2
    assert process.rlimit(psutil.RLIMIT_CORE) == (0, 0)


def test_closing_ends_the_processes(renderer: Renderer) -> None:
    """A worker that ends leaves nothing running."""
    renderer.start()
    renderer.start()
    pids = renderer.process_ids
    assert len(pids) == 2
    renderer.close()
    assert renderer.process_ids == []
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


def test_the_render_process_exits_when_its_worker_is_killed(checkout: Path) -> None:
    """``kill -9`` of a pool process leaves no orphan: the end of the pipe ends the other side."""
    code = textwrap.dedent("""
        import os, signal
        from tasks.rendering.client import Renderer
        from tasks.rendering.limits import Limits

        renderer = Renderer(Limits())
        renderer.start()
        print(*renderer.process_ids, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=checkout,
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    pid = int(done.stdout)
    assert wait_until(lambda: not _runs(pid), 10)


@pytest.mark.parametrize(
    ("program", "message"), [("/bin/false", "did not start"), ("/nowhere/python", "No such file")]
)
def test_a_process_that_does_not_start_is_not_blamed_on_the_template(
    monkeypatch: pytest.MonkeyPatch, program: str, message: str
) -> None:
    """Whether its program ends at once or is missing; it may start for the next message."""
    monkeypatch.setattr("sys.executable", program)
    with pytest.raises(RenderProcessError, match=message):
        Renderer(LIMITS).start()


def test_sources_are_compiled_in_the_render_process(shared: Renderer) -> None:
    """Placeholders of each that compiles, a problem of each that does not, by their paths."""
    placeholders, problems = shared.inspect(
        [
            {"path": "subject", "source": "{{ a }}", "html": False},
            {"path": "body", "source": "{{ b.c }}{{ a|nope }}{% include 'p' %}", "html": True},
            {"path": "translations.de.body", "source": "{% if %}", "html": True},
            {"path": "translations.fr.body", "source": "{{", "html": True},
        ],
        {"p": ["d"]},
    )
    assert placeholders == {
        "subject": ["a"],
        "body": ["a", "b.c", "d"],
        "translations.de.body": None,
        "translations.fr.body": None,
    }
    assert [(problem["path"], problem["type"]) for problem in problems] == [
        ("body", "unknown_filter"),
        ("translations.de.body", "syntax_error"),
        ("translations.fr.body", "syntax_error"),
    ]


def test_trial_renders_run_in_the_render_process(shared: Renderer) -> None:
    """With values that are made up; and what can be left out is found there."""
    text = source_of("{{ a + 1 }}", "email", "{{ b|default('c') }}{{ a }}")
    (problem,) = shared.try_out(text, [{"name": "a", "type": "string"}])
    assert problem["path"] == "body"
    assert shared.try_out(text, [{"name": "a", "type": "integer"}]) == []
    text = source_of("{{ a }}", "email", "{{ b|default('c') }}{{ a }}")
    assert shared.infer([text], ["a", "b"]).optional == ["b"]


class TestStream:
    """Renders in groups, each answered as it is, in order."""

    def answers(
        self, renderer: Renderer, source: str, values: list[dict[str, object]], seconds: float = 30
    ) -> list[dict[str, Any]]:
        """Render one text with each of some values, in groups of three."""
        texts = [source_of("not this"), source_of(source)]
        groups = [values[start : start + 3] for start in range(0, len(values), 3)]
        with renderer.stream(time.monotonic() + seconds) as stream:
            for group in groups:
                stream.put(texts, [(1, encode(one)) for one in group])
            return [decode(answer) for _ in groups for answer in stream.take()]

    def test_each_item_gets_its_own_answer(self, renderer: Renderer) -> None:
        """A bad one among them costs the others nothing, and no process."""
        renderer.start()
        pid = only_pid(renderer)
        values: list[dict[str, object]] = [{"x": number} for number in range(10)]
        values[4] = {}
        answers = self.answers(renderer, "{{ x }}", values)
        assert [answer.get("ok", {}).get("body") for answer in answers] == [
            *("0", "1", "2", "3", None, "5", "6", "7", "8", "9")
        ]
        assert answers[4]["error"][0] == Code.VARIABLES_INVALID
        assert only_pid(renderer) == pid

    def test_an_item_over_a_limit_fails_no_other_item(self, renderer: Renderer) -> None:
        """It takes the process with it, and the others are rendered by the next."""
        values: list[dict[str, object]] = [{"n": 1, "x": str(number)} for number in range(7)]
        values[3] = {"n": 10_000, "x": "a" * 200_000}
        answers = self.answers(
            renderer, "{% for i in range(n) %}{{ x|sort|length }}{% endfor %}", values
        )
        assert [answer["error"][0] for answer in answers if "error" in answer] == [
            Code.RENDER_LIMIT_EXCEEDED
        ]
        assert [index for index, answer in enumerate(answers) if "ok" in answer] == [
            *(0, 1, 2, 4, 5, 6)
        ]
        assert body(renderer, "{{ x }}", x=1) == "1"

    def test_items_not_started_before_the_deadline_are_refused(self, renderer: Renderer) -> None:
        """A batch has an end, whatever its items cost."""
        values: list[dict[str, object]] = [{"x": number} for number in range(4)]
        answers = self.answers(renderer, "{{ x }}", values, seconds=-1)
        assert [answer["error"][0] for answer in answers] == [Code.RENDER_LIMIT_EXCEEDED] * 4
        assert "12 s" in answers[0]["error"][1]

    def test_an_abandoned_stream_leaves_no_answer_to_the_next(self, renderer: Renderer) -> None:
        """What was put and not taken would be read as another's."""
        with renderer.stream(time.monotonic() + 30) as stream:
            stream.put([source_of("{{ x }}")], [(0, encode({"x": "first"}))])
        assert renderer.process_ids == []
        assert body(renderer, "{{ x }}", x="second") == "second"

    def test_an_empty_stream_starts_no_process(self, renderer: Renderer) -> None:
        """A batch of no items starts no process."""
        assert self.answers(renderer, "{{ x }}", []) == []
        assert renderer.process_ids == []


def _environment(pid: int) -> list[str]:
    text = Path(f"/proc/{pid}/environ").read_bytes().decode()
    return [line for line in text.split("\0") if line]


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
