"""Whatever a template or a value is: one clear answer, in time, and the workers go on."""

import json
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psutil
import pytest

from db.cluster.processes import wait_until
from tasks.errors import Code
from tasks.rendering.limits import Limits
from tests.factories import templates
from tests.support.corpus import CORPUS, OK, SECRET, Entry
from tests.support.envelopes import envelope, push
from tests.support.producer import POLL_SECONDS, Producer
from tests.support.stacks import small_stack
from worker.local import LocalStack

ANSWER_SECONDS = 2.0
SLACK_SECONDS = 3.0
"""What a busy machine may add to a measured time; the start of a process is in it."""

GIVEN_UP_SECONDS = 30.0

ANSWER_BYTES = 1024 * 1024
"""Of an error with all its details: an author reads it, and the result backend keeps it."""

NEIGHBOURS_BEFORE = 100


@dataclass(slots=True)
class Neighbour:
    """A producer of harmless renders of another template, and how long each took, in seconds."""

    producer: Producer
    template: str
    alone: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)

    def render(self, times: list[float]) -> None:
        """Render once, check the text, and write down the time."""
        name = uuid.uuid4().hex
        start = time.perf_counter()
        message = {"template_id": self.template, "variables": {"name": name}}
        answer = self.producer.call("render.one", message)
        times.append(time.perf_counter() - start)
        assert answer["body"] == f"Hello {name}"

    def told(self) -> str:
        """Return what the corpus did to the neighbour."""
        alone, beside = statistics.median(self.alone), statistics.median(self.beside)
        return (
            f"\nharmless renders: {alone * 1000:.1f} ms alone, {beside * 1000:.1f} ms beside the "
            f"corpus (medians of {len(self.alone)} and {len(self.beside)}), {beside / alone:.2f} "
            "times as long"
        )


@dataclass(frozen=True, slots=True)
class Lab:
    """A stack with one worker of two processes, and what must not change in it."""

    stack: LocalStack
    producer: Producer
    neighbour: Neighbour
    processes: set[int]

    def answer(self, send: Callable[[], str]) -> dict[str, Any]:
        """Return what is stored for a message, once the rules of all answers are checked.

        ``send`` sends it and returns its task id. Until it is answered, the neighbour renders.
        """
        log = self.stack.logs / "worker.log"
        start = log.stat().st_size
        sent = time.time()
        task_id = send()
        self.neighbour.render(self.neighbour.beside)
        while not wait_until(lambda: self.is_answered(task_id), 0.1, every=POLL_SECONDS):
            assert time.time() - sent < GIVEN_UP_SECONDS, "no answer"
            self.neighbour.render(self.neighbour.beside)
        stored = self.producer.stored(task_id)
        # When the answer came, not when it was looked for.
        took = datetime.fromisoformat(stored["date_done"]).timestamp() - sent
        assert took < ANSWER_SECONDS + SLACK_SECONDS
        # A message has one line when it is done, and one more each time it is tried again.
        with log.open() as opened:
            opened.seek(start)
            lines = opened.read()
        assert lines.count(f"[{task_id}]") <= 1
        assert SECRET not in lines
        assert all(psutil.pid_exists(pid) for pid in self.processes), "a worker process has ended"
        return stored

    def is_answered(self, task_id: str) -> bool:
        """Tell whether a message has been worked on."""
        return bool(self.producer.backend.exists(f"celery-task-meta-{task_id}"))

    def send(self, task: str, keywords: dict[str, Any]) -> dict[str, Any]:
        """Send a message and return what is stored for it."""
        return self.answer(lambda: self.producer.send(task, keywords))

    def send_render(self, template: str, variables: str) -> dict[str, Any]:
        """Send a render whose variables are JSON that no ``dict`` holds; return the same."""
        body = f'[[], {{"template_id": "{template}", "variables": {variables}}}, {{}}]'

        def send() -> str:
            task_id, message = envelope("render.one", body.encode())
            push(self.stack.valkey.url, "render", message)
            return task_id

        return self.answer(send)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Give a stack of this file's own: what happens to its processes is the corpus's doing."""
    with small_stack(tmp_path_factory.mktemp("corpus")) as stack, Producer.of(stack) as producer:
        neighbour = Neighbour(
            producer, templates.published(producer, "Hello {{ name }}", type="sms")
        )
        for _ in range(NEIGHBOURS_BEFORE):
            neighbour.render(neighbour.alone)
        yield Lab(stack, producer, neighbour, pool_processes(stack))
        if neighbour.beside:
            print(neighbour.told())  # noqa: T201 - for those who run the corpus with -s


@pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.name) for entry in CORPUS])
def test_each_gets_its_answer_and_nothing_else_happens(lab: Lab, entry: Entry) -> None:
    """The stated code or text, at the first try, within 2 s, and no process is lost for it."""
    prefix = f"{uuid.uuid4().hex}-"
    for name, body in entry.before:
        partial = templates.created(lab.producer, template_id=f"{prefix}{name}", type="partial")
        source = body.replace("§", prefix)
        lab.producer.call("version.publish", {"template_id": partial, "body": source})
    template = f"{prefix}{entry.template}"
    if entry.template not in dict(entry.before):
        templates.created(lab.producer, template_id=template, type=entry.type)
    message: dict[str, Any] = {
        "template_id": template,
        "subject": entry.subject and entry.subject.replace("§", prefix),
        "body": entry.body.replace("§", prefix),
        "variables": entry.schema,
        "translations": {code: {"body": body} for code, body in entry.translations.items()},
    }
    assert_told(lab.send("version.publish", message), entry.publish)
    if entry.publish != OK:
        return
    if isinstance(entry.values, str):
        stored = lab.send_render(template, entry.values)
    else:
        stored = lab.send("render.one", {"template_id": template, "variables": entry.values})
    assert_told(stored, entry.render)
    if entry.gives is not None:
        assert stored["result"]["body"] == entry.gives
    if entry.subject_gives is not None:
        assert stored["result"]["subject"] == entry.subject_gives


def test_every_render_process_has_its_limit_of_memory(lab: Lab) -> None:
    """The kernel holds each to 256 MiB, one that took the place of another too."""
    lab.send("version.publish", {"template_id": "no-such-template", "body": "a"})
    limit = Limits().render_memory_bytes

    def limited() -> bool:
        limits = [process.rlimit(psutil.RLIMIT_AS) for process in render_processes(lab.stack)]
        # A process sets its limit just after it has told that it is ready.
        return bool(limits) and set(limits) == {(limit, limit)}

    assert wait_until(limited, 10)


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
    found = [*stored["result"]["exc_message"], ""][0]
    return found if found in set(Code) else str(stored["result"]["exc_type"])


def pool_processes(stack: LocalStack) -> set[int]:
    """Return the worker's pool processes."""
    children = psutil.Process(stack.processes["worker"].pid).children()
    return {child.pid for child in children if "celery" in json.dumps(child.cmdline())}


def render_processes(stack: LocalStack) -> list[psutil.Process]:
    """Return the worker's render processes."""
    children = psutil.Process(stack.processes["worker"].pid).children(recursive=True)
    return [child for child in children if "tasks.rendering.process" in child.cmdline()]
