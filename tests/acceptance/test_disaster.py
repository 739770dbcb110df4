"""The database is lost at a known second, with writes going on, and comes back as it was before."""

import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from db.cluster.processes import wait_until
from tests.factories import templates
from tests.support.producer import Producer
from worker.local import LocalStack
from worker.local.stack import DIRECTORY_VARIABLE

PROGRAM: Final = Path(sys.executable).with_name("template-service")
TIMEOUT: Final = 180


class Operator:
    """Somebody at a shell, with a local stack of their own."""

    def __init__(self, directory: Path) -> None:
        self.stack = LocalStack(directory)
        self.environment = {**os.environ, DIRECTORY_VARIABLE: str(directory)}

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command, whatever its exit status."""
        addresses = self.stack.addresses() if self.stack.environment_file.exists() else {}
        return subprocess.run(
            [PROGRAM, *arguments],
            env=self.environment | addresses,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    def do(self, *arguments: str) -> str:
        """Run a command that must succeed, and return what it prints."""
        done = self.call(*arguments)
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows."""
        with psycopg.connect(self.stack.postgres.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


class Writes:
    """Templates that a producer creates, and when it knew of each."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self.acknowledged: dict[str, tuple[datetime, datetime]] = {}

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Create one after the other beside the block, until an answer is a failure."""
        end = threading.Event()

        def create() -> None:
            while not end.is_set():
                name, sent = f"written-{uuid.uuid4().hex}", datetime.now(UTC)
                keywords = {"template_id": name, "name": "Written", "type": "sms"}
                answer = self._producer.send("template.create", keywords)
                if self._producer.stored(answer)["status"] == "SUCCESS":
                    self.acknowledged[name] = (sent, datetime.now(UTC))

        thread = threading.Thread(target=create)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join(TIMEOUT)

    def more(self, count: int = 5) -> None:
        """Wait until there are some more."""
        wanted = len(self.acknowledged) + count
        assert wait_until(lambda: len(self.acknowledged) >= wanted, 60)

    def before(self, moment: datetime) -> set[str]:
        """Return what was known to be written by then."""
        return {name for name, (_, known) in self.acknowledged.items() if known <= moment}

    def after(self, moment: datetime) -> set[str]:
        """Return what was sent later than that."""
        return {name for name, (sent, _) in self.acknowledged.items() if sent > moment}


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    """Give an operator whose stack is stopped in the end."""
    operator = Operator(tmp_path / "local")
    yield operator
    operator.do("down")


def test_the_database_comes_back_as_of_the_second_before(operator: Operator) -> None:
    """Every write that was acknowledged by then is there, none that was sent later, and it runs.

    The tables are dropped while a producer writes. The stack is then put back by one command, and
    takes writes, renders and base backups again; what was lost is kept beside it.
    """
    operator.do("up", "--detach")
    assert "must be restarted" in operator.do("pitr", "setup", "--yes")
    operator.do("down")
    operator.do("up", "--detach")
    with Producer.of(operator.stack) as producer:
        writes = Writes(producer)
        template = templates.published(producer, "<p>Dear {{ name }}</p>")
        with writes.going_on():
            writes.more()
            first = producer.call("maintenance.base_backup", timeout=TIMEOUT)
            assert first["kind"] == "full"
            writes.more()
            second = producer.call("maintenance.base_backup", timeout=TIMEOUT)
            assert (second["kind"], second["parent"]) == ("incremental", first["base_backup"])
            writes.more()
            moment = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
            assert wait_until(lambda: len(writes.after(moment)) >= 5, 60)
            operator.query("DROP TABLE templates CASCADE")
        told = operator.do(
            "pitr", "restore", "--to", moment.isoformat(), "--replace-local", "--yes", "--json"
        )
        restored = json.loads(told)
        assert restored["base"] == [first["base_backup"], second["base_backup"]]
        found = {name for (name,) in operator.query("SELECT template_id FROM templates")}
        assert restored["proof"]["tables"]["templates"] == len(found)
        assert len(writes.before(moment)) >= 15
        assert writes.before(moment) <= found
        assert not writes.after(moment) & found
        assert restored["exchanged"]["started"] is True
        assert (Path(restored["exchanged"]["kept"]) / "PG_VERSION").exists()
        message = {"template_id": template, "variables": {"name": "Ada"}}
        assert producer.call("render.one", message)["body"] == "<p>Dear Ada</p>"
        with writes.going_on():
            writes.more()
        third = producer.call("maintenance.base_backup", timeout=TIMEOUT)
    status = json.loads(operator.do("pitr", "status", "--json"))
    assert (status["problems"], status["timeline"]) == ([], 2)
    assert third["base_backup"] == status["reaches"][-1]["backup"]["name"]
