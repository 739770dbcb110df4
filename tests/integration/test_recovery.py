"""Point-in-time recovery: set up, base backups, and every kind of target, on a real server."""

import dataclasses
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from db.cluster.programs import Programs
from db.commands.physical import control_data
from db.recovery.policy import RecoveryPolicy
from db.recovery.setup import command
from tasks.configuration import Operations
from tasks.messages.backups import BaseBackedUp
from tasks.messages.maintenance import Maintain
from tasks.runs import Run
from tasks.runtime import Runtime
from tasks.services import base_backups
from tests.support.recovery import History, lived
from tests.support.tasks import Tasks
from worker.configuration import configuration
from worker.settings import Settings


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """Give a server on which something has happened."""
    with lived(tmp_path_factory.mktemp("recovery")) as history:
        yield history


def restored(history: History, into: Path, *arguments: str) -> dict[str, Any]:
    """Restore, check what holds for every restore, and return what was said about it."""
    told: dict[str, Any] = history.server.json("restore", *arguments, "--into", str(into))
    assert told["directory"] == str(into)
    control = control_data(Programs.chosen(), into)
    assert control["Database cluster state"] == "shut down"
    assert not (into / "recovery.signal").exists()
    assert not (into / "backup_manifest").exists()
    assert list(into.parent.iterdir()) == [into]
    assert into.stat().st_mode & 0o777 == 0o700
    if os.geteuid() == 0:
        owners = {path.lstat().st_uid for path in (into, *into.rglob("*"))}
        assert owners == {history.server.policy.wal.stat().st_uid} != {0}
    assert told["proof"]["timeline"] == 2
    assert told["proof"]["revision"]
    return told


def test_setup_is_idempotent(history: History) -> None:
    """Each run proves once more that a segment arrives."""
    told = history.server.json("setup", "--yes")
    assert (told["changed"], told["restart"]) == ({}, [])
    assert (history.server.policy.wal / told["archived"]).exists()
    assert history.server.run("SHOW archive_command") == command(history.server.policy)
    assert history.server.run("SHOW summarize_wal") == "on"
    assert history.server.run("SHOW archive_timeout") == "1min"


def test_the_archive_is_for_the_server_alone(history: History) -> None:
    """It owns the folder, and cannot change the command."""
    wal, script = history.server.policy.wal, history.server.policy.directory / "archive.sh"
    assert wal.stat().st_mode & 0o777 == 0o700
    assert wal.stat().st_uid == history.server.stack.postgres.data.stat().st_uid
    assert script.stat().st_uid == os.geteuid()
    assert script.stat().st_mode & 0o777 == 0o644
    assert history.server.policy.base.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("target", ["between", "after"])
def test_a_restore_to_a_time(history: History, tmp_path: Path, target: str) -> None:
    """From the newest base backup that ended before it; an incremental one with its full one.

    Without a zone it is UTC, as an operator's watch may not be.
    """
    at = getattr(history, target).astimezone(UTC)
    named = at if target == "between" else at.replace(tzinfo=None)
    told = restored(history, tmp_path / "data", "--to", named.isoformat())
    chain = [history.full] if target == "between" else [history.full, history.incremental]
    assert told["base"] == chain
    assert told["proof"]["tables"]["templates"] == {"between": 22, "after": 25}[target]
    assert told["proof"]["last_transaction_at"] <= str(at)


def test_a_restore_to_a_restore_point(history: History, tmp_path: Path) -> None:
    """It lies before the newest base backup, which is not taken then.

    The proof archives nothing: the archive stays that of one server. The restored one will go on
    with it, its new timeline first, once an operator starts it.
    """
    told = restored(history, tmp_path / "data", "--restore-point", history.point)
    assert told["base"] == [history.full]
    assert told["proof"]["tables"]["templates"] == 15
    names = {path.name for path in history.server.policy.wal.iterdir()}
    assert not any(name.startswith("00000002") for name in names)
    wal = tmp_path / "data" / "pg_wal"
    assert (wal / "00000002.history").exists()
    assert (wal / "archive_status" / "00000002.history.ready").exists()


def test_a_restore_to_just_before_a_transaction(history: History, tmp_path: Path) -> None:
    """Which the list of transactions tells by what it deleted."""
    since = (history.after - timedelta(seconds=1)).isoformat()
    (found,) = history.server.json("transactions", "--from", since)
    assert found["transaction"] == history.deletion
    assert (found["deleted"], found["dropped"]) == ({"templates": 4}, 0)
    told = restored(history, tmp_path / "data", "--before-transaction", str(found["transaction"]))
    assert told["proof"]["tables"]["templates"] == 25


def test_a_restore_to_the_latest(history: History, tmp_path: Path) -> None:
    """With all that was written until the command was given; from an older backup as well."""
    told = restored(history, tmp_path / "data", "--latest", "--from", history.full)
    assert told["base"] == [history.full]
    assert told["proof"]["tables"]["templates"] == 21


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has PostgreSQL run as another user")
def test_root_restores_to_a_folder_less_closed_than_the_archive(history: History) -> None:
    """The server that recovers reads both, the archive with the help of a capability."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        arguments = ["--restore-point", history.point, "--into", f"{folder}/data"]
        closed = history.server.policy.directory.parent
        closed.chmod(0o700)
        try:
            told = history.server.json("restore", *arguments)
        finally:
            closed.chmod(0o711)
    assert told["proof"]["tables"]["templates"] == 15


def test_status_shows_the_recoverable_time_range(history: History) -> None:
    """And that nothing is wrong."""
    told = history.server.json("status")
    assert told["problems"] == []
    assert told["archiving"]["mode"] == "on"
    assert told["archiving"]["ours"] is True
    assert told["archiving"]["fails"] is False
    found = {each["backup"]["name"]: each for each in told["reaches"]}
    assert found[history.full]["backup"]["parent"] is None
    assert found[history.incremental]["backup"]["parent"] == history.full
    assert told["earliest"] == found[history.full]["earliest"] < str(history.between)
    assert told["latest"] > str(history.after)
    assert "incremental" in history.server.call("status").stdout


def test_old_base_backups_are_removed_with_their_wal(history: History, tmp_path: Path) -> None:
    """When there are enough new full ones; what is needed of the archive stays."""
    policy = dataclasses.replace(history.copy(tmp_path / "recovery"), keep=1)
    # The server archives to the other folder, which is no matter to what is removed from this one.
    later = policy.wal / f"{max(path.name for path in policy.wal.iterdir())[:22]}FF"
    later.touch()
    planned = history.server.json("base-backup", "--full", "--dry-run", policy=policy)
    assert (planned["kind"], planned["backup"], planned["removed"]) == ("full", None, [])
    told = history.server.json("base-backup", "--full", policy=policy)
    assert told["removed"] == [history.incremental, history.full]
    assert [path.name for path in policy.base.iterdir()] == [told["backup"]["name"]]
    assert list(policy.wal.iterdir()) == [later]


def test_a_base_backup_is_full_again_after_a_while(history: History, tmp_path: Path) -> None:
    """When the last full one is too old, or the chain it would build on is broken."""
    policy = history.copy(tmp_path / "recovery")
    planned = history.server.json("base-backup", "--dry-run", policy=policy)
    assert (planned["kind"], planned["parent"]) == ("incremental", history.incremental)
    old = policy.base / history.full / "backup.json"
    content = old.read_text().replace(f'"{history.between.year}-', f'"{history.between.year - 1}-')
    old.unlink()
    old.write_text(content)
    planned = history.server.json("base-backup", "--dry-run", policy=policy)
    assert (planned["kind"], planned["parent"]) == ("full", None)


def test_a_base_backup_that_is_being_taken_is_not_taken_twice(history: History) -> None:
    """Two beats may be up."""
    lock = "SELECT pg_advisory_xact_lock(hashtextextended('maintenance.base_backup', 0))"
    with psycopg.connect(history.server.stack.postgres.url) as connection:
        connection.execute(lock)
        assert history.server.json("base-backup")["skipped"] is True


def test_the_task_answers_in_numbers(history: History, tmp_path: Path) -> None:
    """What it took, of which kind, and what had to go for it."""
    settings = Settings(
        database_url=history.server.stack.postgres.url,
        broker_url="redis://unused.invalid/0",
        result_backend="redis://unused.invalid/1",
        operations=Operations(
            recovery=RecoveryPolicy(history.copy(tmp_path / "recovery").directory)
        ),
    )
    with closing(Runtime(configuration(settings))) as process:
        run = Run(process)
        planned = base_backups.take(Maintain(dry_run=True), run)
        told = base_backups.take(Maintain(), run)
    assert planned == BaseBackedUp(dry_run=True, kind="incremental", parent=history.incremental)
    assert (told.kind, told.parent, told.expired) == ("incremental", history.incremental, ())
    assert (tmp_path / "recovery" / "base" / str(told.base_backup) / "data").is_dir()
    assert told.size > 0
    assert told.seconds > 0


@pytest.mark.parametrize("dry_run", [True, False])
def test_the_task_is_skipped_where_no_wal_is_archived(tasks: Tasks, *, dry_run: bool) -> None:
    """A base backup alone leads to no other time; the answer says what to do."""
    answer = tasks.call("maintenance.base_backup", {"dry_run": dry_run})
    assert answer["skipped"] is True
    assert answer["base_backup"] is None
    assert "pitr setup" in answer["reason"]
