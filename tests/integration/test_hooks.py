"""Commands that run before and after dumps and restores, and when a run of maintenance fails."""

import json
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from db import hooks
from db.backup.create import create
from db.backup.policy import BackupPolicy
from db.backup.restore.merge_table import merge_table
from db.backup.restore.replace_live import replace_live
from db.backup.restore.restore import restore
from db.cluster.processes import Identity, wait_until
from db.errors import OperationError
from tasks import runtime
from tests.support.sample_databases import SampleDatabase, sample_database
from tests.support.tasks import Tasks
from worker.local import LocalStack

WRITE = """
import json, os, sys
given = json.load(sys.stdin)
given["environment"] = dict(os.environ)
print(json.dumps(given), file=open(sys.argv[1], "a"))
"""


@pytest.fixture
def live(servers: LocalStack) -> Iterator[SampleDatabase]:
    """Give a database of the test's own."""
    with sample_database(servers) as made:
        yield made


@pytest.fixture
def command(tmp_path: Path) -> str:
    """Return a command line that appends what it gets to a file."""
    return shlex.join([sys.executable, "-c", WRITE, str(tmp_path / "calls")])


@pytest.fixture
def calls(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    """Return the calls of the command since the last question."""

    def read() -> list[dict[str, Any]]:
        file = tmp_path / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]

    return read


def test_dumps_and_restores_call_the_hooks(
    live: SampleDatabase,
    command: str,
    calls: Callable[[], list[dict[str, Any]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In order, with the entry of the catalog, and with none of the service's secrets."""
    monkeypatch.setenv("DATABASE_URL", live.url)
    policy = BackupPolicy(
        target=str(tmp_path / "backups"),
        before_dump=command,
        after_dump=command,
        before_restore=command,
        after_restore=command,
    )
    entry = create(live.client, policy)
    before, after = calls()
    assert (before["event"], before["database"]) == ("before_dump", live.name)
    assert (after["event"], after["entry"]) == (
        "after_dump",
        entry.model_dump(mode="json", exclude_none=True),
    )
    assert after["environment"].keys() <= {"PATH", "LC_ALL", "TZ", "TEMPLATE_SERVICE_EVENT"}
    restore(live.client, policy)
    assert [call["event"] for call in calls()] == ["before_restore", "after_restore"]
    merge_table(live.client, policy, table="templates")
    replace_live(live.client, policy)
    safety = ["before_restore", "before_dump", "after_dump", "after_restore"]
    done = calls()
    assert [call["event"] for call in done] == 2 * safety
    assert {call["entry"]["name"] for call in done if "restore" in call["event"]} == {entry.name}


@pytest.mark.parametrize("command", ["/bin/false", "/no/such/program", "'"])
def test_a_hook_that_fails_stops_what_it_belongs_to(
    live: SampleDatabase, tmp_path: Path, command: str
) -> None:
    """Nothing is dumped or restored; after a dump, the dump stays."""
    policy = BackupPolicy(target=str(tmp_path / "backups"))
    entry = create(live.client, policy)
    known = sorted(Path(policy.target).iterdir())
    databases = live.databases()
    with pytest.raises(OperationError) as refused:
        create(live.client, replace(policy, before_dump=command))
    assert (refused.value.kind, "before_dump" in refused.value.message) == ("hook_failed", True)
    with pytest.raises(OperationError):
        restore(live.client, replace(policy, before_restore=command), name=entry.name)
    assert sorted(Path(policy.target).iterdir()) == known
    assert live.databases() == databases
    with pytest.raises(OperationError):
        create(live.client, replace(policy, after_dump=command))
    assert len(list(Path(policy.target).iterdir())) == 2 * len(known)


def test_a_hook_that_takes_too_long_is_killed_with_what_it_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it has ended itself by then, or waits."""
    monkeypatch.setattr(hooks, "TIMEOUT", 0.5)
    for end in ("", "wait"):
        started = tmp_path / f"started {end}"
        script = f'sleep 600 & echo $! >"{started}"; {end}'
        with pytest.raises(OperationError, match="was killed after"):
            hooks.run_hook(shlex.join(["sh", "-c", script]), "after_dump", {})
        process = Identity.of(int(started.read_text()))
        assert process is None or wait_until(lambda: not process.alive(), 20)  # noqa: B023


def test_a_failed_run_is_notified(
    tasks: Tasks,
    command: str,
    calls: Callable[[], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once, with the cause and the remedy; a dry run and one that is retried are not."""
    current = runtime.current()
    configured = current.configuration
    operations = replace(
        configured.operations,
        notify_command=command,
        backup=replace(configured.operations.backup, target="/proc/none"),
    )
    monkeypatch.setattr(current, "configuration", replace(configured, operations=operations))
    assert tasks.deliver("maintenance.backup", {}, task_id="notified").state == "FAILURE"
    (call,) = calls()
    assert (call["event"], call["task"], call["id"]) == (
        "run_failed",
        "maintenance.backup",
        "notified",
    )
    assert call["error"] == "target_unwritable"
    assert call["remedy"]
    tasks.deliver("maintenance.backup", {"dry_run": True})
    assert calls() == []
    with monkeypatch.context() as patch:
        patch.setattr("tasks.services.maintenance.vacuum", lambda *_: 1 / 0)
        tasks.deliver("maintenance.vacuum", {}, task_id="bug")
        assert [call["error"] for call in calls()] == ["ZeroDivisionError"]
