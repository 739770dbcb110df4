"""The primary dies under load, and a standby takes its place."""

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from click.testing import CliRunner, Result

from db.cluster.processes import wait_until
from tests.factories import templates
from tests.support.producer import Producer
from tests.support.stacks import without_fsync
from worker.cli import main
from worker.local import LocalStack
from worker.local.server import HOST, free_port

LONG_LIMITS = {
    "TEMPLATE_SERVICE_MAX_RETRIES": "20",
    "TEMPLATE_SERVICE_RETRY_BACKOFF_MAX": "2",
    "TEMPLATE_SERVICE_DB_CONNECT_TIMEOUT": "2",
}
WRITERS = 3
# Each has to be empty: a message that was done twice, and templates without one current version.
TWICE: LiteralString = "SELECT body FROM template_versions GROUP BY body HAVING count(*) > 1"
CURRENT: LiteralString = """
SELECT template_id FROM template_versions
GROUP BY template_id HAVING count(*) FILTER (WHERE is_current) <> 1
"""


class StackOfTwo(LocalStack):
    """A stack whose processes know of a second PostgreSQL, which need not exist yet."""

    def __init__(self, directory: Path, second: int) -> None:
        super().__init__(
            directory,
            beat=False,
            flower=False,
            environment=LONG_LIMITS,
            die_with_parent=True,
        )
        without_fsync(self.postgres)
        self.second = second

    def addresses(self) -> dict[str, str]:
        """Return the addresses of the stack, with two hosts for PostgreSQL."""
        variables = super().addresses()
        one = f"{HOST}:{self.postgres.port}"
        return variables | {
            "DATABASE_URL": variables["DATABASE_URL"].replace(one, f"{one},{HOST}:{self.second}")
        }

    def replica(self, *arguments: str) -> Result:
        """Run ``template-service replica``."""
        variables = {"DATABASE_URL": self.addresses()["DATABASE_URL"]}
        result = CliRunner().invoke(main, ["replica", *arguments], env=variables)
        assert result.exit_code == 0, result.output
        return result


class Load:
    """Producers that send without pause, and remember what was acknowledged."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._over = threading.Event()
        self._threads = ThreadPoolExecutor(WRITERS + 1)
        self._working: list[Future[None]] = []
        self.created: list[str] = []
        self.published: dict[str, str] = {}
        self.rendered = 0

    def start(self) -> None:
        """Start sending."""
        self._working = [self._threads.submit(self._write) for _ in range(WRITERS)]
        self._working.append(self._threads.submit(self._render))

    def stop(self) -> None:
        """Stop sending, and raise what a producer did not expect."""
        self._over.set()
        self._threads.shutdown()
        for each in self._working:
            each.result()

    @property
    def done(self) -> tuple[int, int]:
        """How many publishes and renders were answered so far."""
        return len(self.published), self.rendered

    def goes_on(self, before: tuple[int, int]) -> bool:
        """Tell whether there were more answers of both kinds since; raise if a producer failed."""
        for each in self._working:
            if each.done():
                each.result()
        return all(now > then for now, then in zip(self.done, before, strict=True))

    def _write(self) -> None:
        while not self._over.is_set():
            template = templates.created(self._producer, type="sms")
            self.created.append(template)
            for _ in range(3):
                body = f"Hello {uuid.uuid4().hex}"
                message = {"template_id": template, "body": body}
                answer = self._producer.call("version.publish", message, timeout=60)
                self.published[answer["version_id"]] = body

    def _render(self) -> None:
        template = templates.published(self._producer, "Always", type="sms")
        while not self._over.is_set():
            self._producer.call("render.one", {"template_id": template}, timeout=60)
            self.rendered += 1


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[StackOfTwo]:
    """Give a stack with a standby that every write waits for."""
    with StackOfTwo(tmp_path / "stack", free_port()) as stack:
        try:
            stack.replica(
                *("create", "--into", str(tmp_path / "standby"), "--start", "--synchronous"),
                *("--host", HOST, "--port", str(stack.second)),
            )
            yield stack
        finally:
            stack.replica("stop", str(tmp_path / "standby"))


def test_a_promoted_standby_takes_over_under_load(
    stack: StackOfTwo, producer: Producer, tmp_path: Path
) -> None:
    """Renders go on, no acknowledged write is missing, none is done twice; and the way back."""
    template = templates.published(producer, "Before", type="sms")
    load = Load(producer)
    load.start()
    try:
        assert wait_until(lambda: load.goes_on((20, 1)), 60)
        stack.postgres.kill()
        stack.replica("promote", "--yes")
        answer = producer.call("render.one", {"template_id": template}, timeout=10)
        assert answer["body"] == "Before"
        before = load.done
        assert wait_until(lambda: load.goes_on(before), 60)
    finally:
        load.stop()
    with psycopg.connect(stack.addresses()["DATABASE_URL"]) as connection:
        assert connection.info.port == stack.second
        stored = connection.execute("SELECT id::text, body FROM template_versions").fetchall()
        assert load.published.items() <= dict(stored).items()
        known = {row[0] for row in connection.execute("SELECT template_id FROM templates")}
        assert {*load.created} <= known
        for wrong in (TWICE, CURRENT):
            assert connection.execute(wrong).fetchall() == []
    make_the_old_primary_a_standby(stack, producer, tmp_path / "anew")


def make_the_old_primary_a_standby(stack: StackOfTwo, producer: Producer, into: Path) -> None:
    """Copy the new primary to where the old one listened, and see that it follows."""
    where = ["--host", HOST, "--port", str(stack.postgres.port)]
    stack.replica("create", "--into", str(into), "--start", "--synchronous", *where)
    try:
        template = templates.published(producer, "After", type="sms")
        query: LiteralString = (
            "SELECT pg_is_in_recovery(), is_active FROM templates WHERE template_id = %s"
        )
        with psycopg.connect(stack.postgres.url, autocommit=True) as old:
            assert wait_until(
                lambda: old.execute(query, [template]).fetchone() == (True, True), timeout=20
            )
    finally:
        stack.replica("synchronous", "off")
        stack.replica("stop", str(into))
