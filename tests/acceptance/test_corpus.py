"""Whatever a template or a value is: one clear answer, and the workers go on."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import psutil
import pytest
from kombu.utils.json import dumps

from db.cluster.processes import wait_until
from tasks import runtime
from tasks.errors import Code
from tasks.rendering.limits import Limits
from tests.factories import templates
from tests.support.cases import each
from tests.support.corpus import CORPUS, END_TO_END, OK, SECRET, Entry
from tests.support.envelopes import envelope, push
from tests.support.producer import POLL_SECONDS, Producer
from tests.support.stacks import small_stack
from tests.support.tasks import Tasks
from worker.local import LocalStack

GIVEN_UP_SECONDS = 30.0

ANSWER_BYTES = 1024 * 1024
"""Of an error with all its details: an author reads it, and the result backend keeps it."""

SHORT_RENDER: Final = 0.1
SHORT_TRIAL: Final = 0.2
"""Seconds for what must not end by itself: no test needs to wait longer to see it stopped."""

LONG: Final = 20.0
"""Seconds for all others: whether they fit into the usual limit is no matter of a busy machine."""

Send = Callable[[str, dict[str, Any], str], dict[str, Any]]
"""Sends a task's message, of which a code is expected; returns what is stored for it."""


@dataclass(frozen=True, slots=True)
class CorpusStack:
    """A stack with one worker of two processes, and what must not change in it.

    Attributes
    ----------
    neighbour
        The template of another producer, whose renders are answered as if nothing happened.
    """

    stack: LocalStack
    producer: Producer
    neighbour: str
    processes: set[int]

    def answer(self, send: Callable[[], str]) -> dict[str, Any]:
        """Return what is stored for a message, once the rules of all answers are checked.

        ``send`` sends it and returns its task id. Until it is answered, the neighbour renders.
        """
        log = self.stack.logs / "worker.log"
        start = log.stat().st_size
        end = time.monotonic() + GIVEN_UP_SECONDS
        task_id = send()
        self.render_beside()
        while not wait_until(lambda: self.is_answered(task_id), 0.1, every=POLL_SECONDS):
            assert time.monotonic() < end, "no answer"
            self.render_beside()
        stored = self.producer.stored(task_id)
        # A message has one line when it is done, and one more each time it is tried again.
        with log.open() as opened:
            opened.seek(start)
            lines = opened.read()
        assert lines.count(f"[{task_id}]") <= 1
        assert SECRET not in lines
        assert all(psutil.pid_exists(pid) for pid in self.processes), "a worker process has ended"
        return stored

    def render_beside(self) -> None:
        """Have the neighbour render once."""
        name = uuid.uuid4().hex
        message = {"template_id": self.neighbour, "variables": {"name": name}}
        assert self.producer.call("render.one", message)["body"] == f"Hello {name}"

    def is_answered(self, task_id: str) -> bool:
        """Tell whether a message has been worked on."""
        return bool(self.producer.backend.exists(f"celery-task-meta-{task_id}"))

    def send(self, task: str, keywords: dict[str, Any], _: str) -> dict[str, Any]:
        """Send a message and return what is stored for it.

        Variables may be the JSON of an object that no ``dict`` holds.
        """
        variables = keywords.get("variables")
        if not isinstance(variables, str):
            return self.answer(lambda: self.producer.send(task, keywords))
        body = (
            f'[[], {{"template_id": "{keywords["template_id"]}", "variables": {variables}}}, {{}}]'
        )

        def send() -> str:
            task_id, message = envelope(task, body.encode())
            push(self.stack.valkey.url, "render", message)
            return task_id

        return self.answer(send)


@pytest.fixture(scope="module")
def corpus_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CorpusStack]:
    """Give a stack of this file's own: what happens to its processes is the corpus's doing."""
    with small_stack(tmp_path_factory.mktemp("corpus")) as stack, Producer.of(stack) as producer:
        neighbour = templates.published(producer, "Hello {{ name }}", type="sms")
        yield CorpusStack(stack, producer, neighbour, pool_processes(stack))


@pytest.fixture
def send(tasks: Tasks) -> Iterator[Send]:
    """Give the way of a message through a pool process, in this process."""
    configuration = runtime.current().configuration

    def limited(render_seconds: float, trial_seconds: float) -> runtime.Runtime:
        limits = replace(
            configuration.limits, render_seconds=render_seconds, trial_seconds=trial_seconds
        )
        return runtime.Runtime(replace(configuration, limits=limits))

    hasty, patient = limited(SHORT_RENDER, SHORT_TRIAL), limited(LONG, LONG)

    def deliver(task: str, keywords: dict[str, Any], expected: str) -> dict[str, Any]:
        chosen = hasty if expected == Code.RENDER_LIMIT_EXCEEDED else patient
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(runtime, "current", lambda: chosen)
            state, value = tasks.deliver(task, keywords)
        if state == "SUCCESS":
            return {"status": state, "result": json.loads(dumps(value))}
        error = {"exc_type": type(value).__name__, "exc_message": json.loads(dumps(value.args))}
        return {"status": state, "result": error}

    yield deliver
    hasty.close()
    patient.close()


@pytest.mark.parametrize("kind", CORPUS)
def test_each_entry_of_the_corpus_gets_its_documented_answer(
    tasks: Tasks, send: Send, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """The stated code or text at the first try, and no personal data in an error or in the log."""

    @each("entry", CORPUS[kind])
    def check(entry: Entry) -> None:
        if not isinstance(entry.values, str):  # only a worker reads the JSON of a message
            assert_answers(tasks, send, entry)
            assert SECRET not in caplog.text

    check()


def test_workers_survive_the_whole_corpus(corpus_stack: CorpusStack) -> None:
    """Every kind of code, each limit, each way in which a render process ends.

    Other messages are answered meanwhile, no pool process is lost, and the kernel holds each render
    process to 256 MiB, also one that took the place of another.
    """

    @each("entry", END_TO_END)
    def check(entry: Entry) -> None:
        assert_answers(corpus_stack.producer, corpus_stack.send, entry)

    check()
    corpus_stack.send("version.publish", {"template_id": "no-such-template", "body": "a"}, "")
    limit = Limits().render_memory_bytes

    def limited() -> bool:
        limits = [
            process.rlimit(psutil.RLIMIT_AS) for process in render_processes(corpus_stack.stack)
        ]
        # A process sets its limit just after it has reported that it is ready.
        return bool(limits) and set(limits) == {(limit, limit)}

    assert wait_until(limited, 10)


def assert_answers(caller: templates.Caller, send: Send, entry: Entry) -> None:
    """Publish what an entry says and render it; check both answers."""
    prefix = f"{uuid.uuid4().hex}-"
    for name, body in entry.before:
        partial = templates.created(caller, template_id=f"{prefix}{name}", type="partial")
        source = body.replace("§", prefix)
        caller.call("version.publish", {"template_id": partial, "body": source})
    template = f"{prefix}{entry.template}"
    if entry.template not in dict(entry.before):
        templates.created(caller, template_id=template, type=entry.type)
    message: dict[str, Any] = {
        "template_id": template,
        "subject": entry.subject and entry.subject.replace("§", prefix),
        "body": entry.body.replace("§", prefix),
        "variables": entry.schema,
        "translations": {code: {"body": body} for code, body in entry.translations.items()},
    }
    assert_told(send("version.publish", message, entry.publish), entry.publish)
    if entry.publish != OK:
        return
    message = {"template_id": template, "variables": entry.values}
    stored = send("render.one", message, entry.render)
    assert_told(stored, entry.render)
    if entry.gives is not None:
        assert stored["result"]["body"] == entry.gives
    if entry.subject_gives is not None:
        assert stored["result"]["subject"] == entry.subject_gives


def assert_told(stored: dict[str, Any], code: str) -> None:
    """Check that an answer is of the stated code, and that an error keeps the rules of errors."""
    if code == OK:
        assert (stored["status"], told_code(stored)) == ("SUCCESS", OK), str(stored)[:2000]
        return
    assert told_code(stored) == code, str(stored)[:2000]
    text = json.dumps(stored, ensure_ascii=False)
    assert SECRET not in text
    assert len(text.encode()) <= ANSWER_BYTES
    _, message, details = stored["result"]["exc_message"]
    assert message
    assert details
    assert all({"path", "type", "message"} <= problem.keys() for problem in details)


def told_code(stored: dict[str, Any]) -> str:
    """Return the code of a refused message, OK for another; what is no error of ours is named."""
    if stored["status"] == "SUCCESS":
        return OK
    code = [*stored["result"]["exc_message"], ""][0]
    return code if code in set(Code) else str(stored["result"]["exc_type"])


def pool_processes(stack: LocalStack) -> set[int]:
    """Return the worker's pool processes."""
    children = psutil.Process(stack.processes["worker"].pid).children()
    return {child.pid for child in children if "celery" in json.dumps(child.cmdline())}


def render_processes(stack: LocalStack) -> list[psutil.Process]:
    """Return the worker's render processes."""
    children = psutil.Process(stack.processes["worker"].pid).children(recursive=True)
    return [child for child in children if "tasks.rendering.process" in child.cmdline()]
