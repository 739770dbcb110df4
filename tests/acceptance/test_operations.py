"""docs/operations.md is true: an operator who follows it from top to bottom gets what it says."""

import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
import psycopg
import pytest
from celery import Celery
from celery.exceptions import TimeoutError as NoAnswerError

from tests.support.documents import Block, blocks
from tests.support.forked_commands import forked_commands
from worker.cli import main
from worker.local import LocalStack
from worker.local.server import free_port

TIMEOUT: Final = 180
SECOND_HALF: Final = "## Recovery to a point in time"
NAMED_TIME: Final = "2026-11-22T10:00:00Z"
_TABLE = re.compile(r"^\| ([^|]+) \| `([^`]+)` \|([^|]*)\| `([^`]+)` \|$", re.MULTILINE)


@dataclass
class Writes:
    """Writes that were acknowledged to a producer, while the operator follows the document.

    Attributes
    ----------
    acknowledged
        The templates that were created: when the message was sent and when its answer came.
    """

    app: Celery
    acknowledged: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)
    _end: threading.Event = field(default_factory=threading.Event)

    def go_on(self) -> None:
        """Create one template after the other, whatever the answers, until the end."""
        while not self._end.is_set():
            name = f"written-{uuid.uuid4().hex}"
            sent = datetime.now(UTC)
            keywords = {"template_id": name, "name": "Written", "type": "sms"}
            answer = self.app.send_task("template.create", kwargs=keywords, queue="templates")
            try:
                answer.get(timeout=2, propagate=False)
            except NoAnswerError:
                continue
            if answer.state == "SUCCESS":
                self.acknowledged[name] = (sent, datetime.now(UTC))
        self.app.backend.client.connection_pool.disconnect()  # this thread's own

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Have them go on beside the block."""
        self._end.clear()
        thread = threading.Thread(target=self.go_on)
        thread.start()
        try:
            yield
        finally:
            self._end.set()
            thread.join()


class Operator:
    """Somebody at a shell in the checkout, with a local stack of their own."""

    def __init__(self, checkout: Path, directory: Path, path: str) -> None:
        self.checkout = checkout
        self.path = path
        self.directory = directory
        self.stack = LocalStack(directory)
        self.lost_at = datetime.now(UTC)
        self.port = free_port()
        self.ran = 0

    def follow(self, block: Block) -> None:
        """Do what a block says; it must succeed."""
        if block.language == "sql":
            psql = f'{self.enter}exec psql -X -q -v ON_ERROR_STOP=1 <<"END"\n'
            self.shell(f"{psql}{block.text}END\n", block.place)
        else:
            self.shell(("" if self.ran == 0 else self.enter) + block.text, block.place)
        self.ran += 1

    @property
    def enter(self) -> str:
        """The lines that begin a shell of theirs: its commands start quickly."""
        return f'. .local/env\nexport PATH={self.path}"$PATH"\n'

    def shell(self, text: str, place: str) -> None:
        """Run lines of a shell in the checkout; they must succeed."""
        text = text.replace(".local/", f"{self.directory}/")
        text = text.replace(".venv/bin/", f"{Path(sys.executable).parent}/")
        text = text.replace("--port 5433", f"--port {self.port}")
        text = text.replace(NAMED_TIME, self.lost_at.strftime("%Y-%m-%dT%H:%M:%SZ"))
        done = subprocess.run(
            ["/bin/sh", "-euc", text],
            cwd=self.checkout,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, f"{place}:\n{text}\n{done.stdout}\n{done.stderr}"

    @property
    def environment(self) -> dict[str, str]:
        """A shell's own, with nothing of a stack but where it shall be."""
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.directory),
            "TEMPLATE_SERVICE_LOCAL_DIR": str(self.directory),
        }

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows of a statement."""
        with psycopg.connect(self.stack.postgres.url) as connection:
            return connection.execute(statement).fetchall()


@pytest.fixture
def operator(checkout: Path, tmp_path: Path) -> Iterator[Operator]:
    """Give an operator whose stack is stopped in the end, however far they came."""
    with forked_commands({"PATH": ""}) as environment:
        operator = Operator(checkout, tmp_path / "local", environment["PATH"])
        yield operator
        if (operator.directory / "standby").exists():
            operator.shell(
                f"{operator.enter}template-service replica stop .local/standby", "the end"
            )
    operator.shell(".venv/bin/template-service down", "the end")


@pytest.mark.parametrize("part", ["everyday", "recovery"])
def test_every_block_of_the_operations_document_works(
    operator: Operator, checkout: Path, part: str
) -> None:
    """Every block does what it says; a database that is lost comes back as of the second before.

    A producer writes on while the database is lost. What was acknowledged before the second that
    the operator names is there afterwards, and nothing that was sent after it.

    The chapters from "Recovery" on need nothing of those before them but the stack, so the two
    parts of the document run next to each other.
    """
    everyday, recovery = _parts(checkout)
    writes: Writes | None = None
    with ExitStack() as closed:
        for block in everyday if part == "everyday" else [everyday[0], *recovery]:
            match block.role:
                case "run":
                    operator.follow(block)
                    if writes is None:
                        writes = Writes(closed.enter_context(operator.stack.producer()))
                        _publish(writes.app)
                case "lose":
                    assert writes is not None
                    _lose(operator, writes, block)
                case "recover":
                    operator.follow(block)
                    assert writes is not None
                    _check(operator, writes)
                case "postgres15" | "rabbitmq" | "archive":
                    # test_document.py of tests/postgres15 and of tests/brokers, and
                    # test_encrypted_archives.py follow these.
                    pass
                case role:
                    raise AssertionError(f"{block.place}: {role}?")


def test_every_subject_has_its_command_task_and_test(checkout: Path) -> None:
    """What the table names exists: commands with help, registered tasks, files of tests."""
    text = (checkout / "docs" / "operations.md").read_text()
    (table,) = re.findall(r"^## Where everything is$(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    rows = _TABLE.findall(table)
    assert len(rows) == table.count("\n| ") - 2
    for _, command, tasks, test in rows:
        words = command.split()
        if words[0] == "template-service":
            node: click.Command | None = main
            for word in words[1:]:
                assert isinstance(node, click.Group), command
                node = node.get_command(click.Context(node), word)
            assert node is not None, command
            assert node.help, command
        for task in re.findall(r"`([^`*]+)`", tasks):
            name = task.removeprefix("maintenance.")
            source = "\n".join(path.read_text() for path in (checkout / "tasks").glob("*.py"))
            assert f'"maintenance.{name}"' in source, task
        assert (checkout / test).exists(), test


def _parts(checkout: Path) -> tuple[list[Block], list[Block]]:
    """Return the blocks before the second half and those in it."""
    document = checkout / "docs" / "operations.md"
    boundary = document.read_text(encoding="utf-8").split("\n").index(SECOND_HALF) + 1
    parts: tuple[list[Block], list[Block]] = ([], [])
    for block in blocks(document):
        if block.role:
            parts[int(block.place.split(":")[1]) > boundary].append(block)
    assert all(parts)
    return parts


def _publish(app: Celery) -> None:
    """Have something to dump: a template, two versions, a translation."""
    sent: list[tuple[str, dict[str, Any]]] = [
        ("template.create", {"name": "Welcome", "type": "email"}),
        ("version.publish", {"body": "<p>Hello {{ name }}</p>", "subject": "Hello"}),
        ("version.publish", {"body": "<p>Welcome {{ name }}</p>", "subject": "Welcome"}),
        ("translation.upsert", {"language_code": "de", "body": "<p>Willkommen {{ name }}</p>"}),
    ]
    for task, keywords in sent:
        keywords["template_id"] = "welcome_email"
        app.send_task(task, kwargs=keywords, queue="templates").get(timeout=30)


def _lose(operator: Operator, writes: Writes, block: Block) -> None:
    """Lose the database a second after the time that the operator will go back to."""
    with writes.going_on():
        before = len(writes.acknowledged)
        _wait(lambda: len(writes.acknowledged) > before + 5)
        operator.lost_at = datetime.now(UTC).replace(microsecond=0)
        named = operator.lost_at.timestamp() + 1
        operator.lost_at = datetime.fromtimestamp(named, UTC)
        # The second that is named must be over, with writes on either side of it.
        _wait(lambda: any(sent.timestamp() > named for sent, _ in writes.acknowledged.values()))
        operator.follow(block)


def _check(operator: Operator, writes: Writes) -> None:
    lost = operator.lost_at
    template_ids = {name for (name,) in operator.query("SELECT template_id FROM templates")}
    before = {name for name, (_, known) in writes.acknowledged.items() if known <= lost}
    after = {name for name, (sent, _) in writes.acknowledged.items() if sent > lost}
    assert before
    assert after
    assert before <= template_ids
    assert not after & template_ids
    message = {"template_id": "welcome_email", "variables": {"name": "Ada"}, "language": "de-AT"}
    answer = writes.app.send_task("render.one", kwargs=message, queue="render").get(timeout=30)
    assert answer["body"] == "<p>Willkommen Ada</p>"


def _wait(holds: Any, seconds: float = 30) -> None:  # noqa: ANN401 - a question without arguments
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
