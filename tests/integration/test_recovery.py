"""Point-in-time recovery: set up, base backups, and every kind of target, on a real server."""

import dataclasses
import json
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC
from pathlib import Path
from typing import Any

import psycopg
import pytest

from db.addresses import Database
from db.backup.policy import BackupPolicy
from db.cluster.programs import Programs
from db.commands.physical import control_data
from db.recovery.catalogue import MANIFEST
from db.recovery.packed import PACKED
from db.recovery.policy import RecoveryPolicy
from db.recovery.setup import command, statements
from db.session import make_engine
from tasks.configuration import Operations
from tasks.messages.backups import BaseBackedUp
from tasks.messages.maintenance import Maintain
from tasks.messages.report import Report
from tasks.runs import Run
from tasks.runtime import Runtime
from tasks.services import base_backups
from tasks.services.report import report
from tests.support.recovery import History, lived
from tests.support.tasks import Tasks
from worker.configuration import configuration
from worker.settings import Settings

SEGMENT = re.compile(r"[0-9A-F]{24}(?!.*(?:backup|history))")


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """Give a server on which something has happened."""
    with lived(tmp_path_factory.mktemp("recovery")) as history:
        yield history


def restored(history: History, into: Path, *arguments: str) -> dict[str, Any]:
    """Restore, check what holds for every restore, and return what was said about it."""
    result: dict[str, Any] = history.server.json("restore", *arguments, "--into", str(into))
    assert result["directory"] == str(into)
    control = control_data(Programs.chosen(), into)
    assert control["Database cluster state"] == "shut down"
    assert not (into / "recovery.signal").exists()
    assert not (into / "backup_manifest").exists()
    assert list(into.parent.iterdir()) == [into]
    assert into.stat().st_mode & 0o777 == 0o700
    if os.geteuid() == 0:
        owners = {path.lstat().st_uid for path in (into, *into.rglob("*"))}
        assert owners == {history.server.policy.wal.stat().st_uid} != {0}
    assert result["proof"]["timeline"] == 2
    assert result["proof"]["revision"]
    return result


def test_setup_is_idempotent(history: History) -> None:
    """Each run proves once more that a segment arrives."""
    result = history.server.json("setup", "--yes")
    assert (result["changed"], result["restart"]) == ({}, [])
    assert any(history.server.policy.wal.glob(f"{result['archived']}*"))
    assert history.server.run("SHOW archive_command") == command(history.server.policy)
    assert history.server.run("SHOW summarize_wal") == "on"
    assert history.server.run("SHOW archive_timeout") == "1min"


def test_setup_prints_statements_that_can_be_pasted(history: History) -> None:
    """Quotes in the values are those of SQL."""
    server = history.server
    printed = server.call("setup", "--yes", "--archive-timeout", "61").stdout.splitlines()
    assert printed[:2] == [
        """ALTER SYSTEM SET "archive_timeout" = '61';""",
        "SELECT pg_reload_conf();",
    ]
    wanted = statements({"archive_command": command(server.policy)})
    with psycopg.connect(server.stack.postgres.url, autocommit=True) as connection:
        for statement in wanted:
            connection.execute(statement.encode())
    assert server.run("SHOW archive_command") == command(server.policy)
    server.json("setup", "--yes")


def test_only_the_server_can_write_to_the_archive(history: History) -> None:
    """It owns the folder, and cannot change the command."""
    wal, script = history.server.policy.wal, history.server.policy.directory / "archive.sh"
    assert wal.stat().st_mode & 0o777 == 0o700
    assert wal.stat().st_uid == history.server.stack.postgres.data.stat().st_uid
    assert script.stat().st_uid == os.geteuid()
    assert script.stat().st_mode & 0o777 == 0o644
    assert history.server.policy.base.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("target", ["between", "after"])
def test_a_restore_reaches_a_time(history: History, tmp_path: Path, target: str) -> None:
    """From the newest base backup that ended before it; an incremental one with its full one.

    Without a zone it is UTC, as an operator's watch may not be.
    """
    at = getattr(history, target).astimezone(UTC)
    named = at if target == "between" else at.replace(tzinfo=None)
    result = restored(history, tmp_path / "data", "--to", named.isoformat())
    chain = [history.full] if target == "between" else [history.full, history.incremental]
    assert result["base"] == chain
    assert result["proof"]["tables"]["templates"] == {"between": 22, "after": 25}[target]
    assert result["proof"]["last_transaction_at"] <= str(at)


def test_a_restore_reaches_a_restore_point(history: History, tmp_path: Path) -> None:
    """It lies before the newest base backup, which is not taken then.

    The proof archives nothing: the archive stays that of one server. The restored one will go on
    with it, its new timeline first, once an operator starts it.
    """
    result = restored(history, tmp_path / "data", "--restore-point", history.point)
    assert result["base"] == [history.full]
    assert result["proof"]["tables"]["templates"] == 15
    names = {path.name for path in history.server.policy.wal.iterdir()}
    assert not any(name.startswith("00000002") for name in names)
    wal = tmp_path / "data" / "pg_wal"
    assert (wal / "00000002.history").exists()
    assert (wal / "archive_status" / "00000002.history.ready").exists()


def test_a_restore_stops_just_before_a_transaction(history: History, tmp_path: Path) -> None:
    """The list of transactions shows what each has deleted."""
    transactions = history.server.json("transactions", "--from", history.after.isoformat())
    (transaction,) = [row for row in transactions if row["deleted"] == {"templates": 4}]
    assert (transaction["transaction"], transaction["dropped"]) == (history.deletion, 0)
    result = restored(
        history, tmp_path / "data", "--before-transaction", str(transaction["transaction"])
    )
    assert result["proof"]["tables"]["templates"] == 25


def test_a_restore_stops_just_before_an_lsn(history: History, tmp_path: Path) -> None:
    """What the server showed as its position at that moment is included, and nothing after it."""
    lsn = history.server.run("SELECT pg_current_wal_insert_lsn()::text")
    history.server.add(1)
    try:
        result = restored(history, tmp_path / "data", "--lsn", lsn)
    finally:
        history.server.run(
            "DELETE FROM templates WHERE id ="
            " (SELECT id FROM templates ORDER BY created_at DESC LIMIT 1)"
        )
    assert result["proof"]["tables"]["templates"] == 21


def test_a_restore_reaches_the_latest_wal(history: History, tmp_path: Path) -> None:
    """With all that was written until the command was given; from an older backup as well."""
    result = restored(history, tmp_path / "data", "--latest", "--from", history.full)
    assert result["base"] == [history.full]
    assert result["proof"]["tables"]["templates"] == 21


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has PostgreSQL run as another user")
def test_root_restores_from_an_archive_in_a_closed_directory(history: History) -> None:
    """The server that recovers reads both, the archive with the help of a capability."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        arguments = ["--restore-point", history.point, "--into", f"{folder}/data"]
        closed = history.server.policy.directory.parent
        closed.chmod(0o700)
        try:
            result = history.server.json("restore", *arguments)
        finally:
            closed.chmod(0o711)
    assert result["proof"]["tables"]["templates"] == 15


def test_status_shows_the_recoverable_time_range(history: History) -> None:
    """And that nothing is wrong."""
    status = history.server.json("status")
    assert status["problems"] == []
    assert status["archiving"]["mode"] == "on"
    assert status["archiving"]["ours"] is True
    assert status["archiving"]["fails"] is False
    reaches = {each["backup"]["name"]: each for each in status["reaches"]}
    assert reaches[history.full]["backup"]["parent"] is None
    assert reaches[history.incremental]["backup"]["parent"] == history.full
    assert status["earliest"] == reaches[history.full]["earliest"] < str(history.between)
    assert status["latest"] > str(history.after)
    printed = history.server.call("status").stdout
    assert "incremental" in printed
    assert "stored" in printed


def test_the_report_has_the_ages_and_gaps_of_base_backups(history: History, tmp_path: Path) -> None:
    """As monitoring gets them; without a base backup there is nothing that could have gaps."""

    def reported(policy: RecoveryPolicy) -> Report:
        engine = make_engine(Database(history.server.stack.postgres.url))
        try:
            return report(engine, BackupPolicy(target=str(tmp_path)), None, policy)
        finally:
            engine.dispose()

    copied = history.copy(tmp_path / "copy")
    figures = reported(copied)
    assert (figures.recovery_gaps, figures.recovery_drill_failed) == (0, False)
    ages = (
        figures.base_backup_age_seconds,
        figures.recovery_earliest_age_seconds,
        figures.recovery_latest_age_seconds,
    )
    assert None not in ages
    # Of the segments that the older base backup needs and the newer does not.
    min(path for path in copied.wal.iterdir() if SEGMENT.match(path.name)).unlink()
    assert reported(copied).recovery_gaps == 1
    none = reported(dataclasses.replace(copied, directory=tmp_path / "none"))
    assert (none.recovery_gaps, none.base_backup_age_seconds) == (None, None)


def test_old_base_backups_are_removed_with_their_wal(history: History, tmp_path: Path) -> None:
    """When there are enough new full ones; what is needed of the archive stays."""
    policy = dataclasses.replace(history.copy(tmp_path / "recovery"), keep=1)
    # The server archives to the other folder, which does not affect what is removed from this one.
    later = policy.wal / f"{max(path.name for path in policy.wal.iterdir())[:22]}FF"
    later.touch()
    planned = history.server.json("base-backup", "--full", "--dry-run", policy=policy)
    assert (planned["kind"], planned["backup"], planned["removed"]) == ("full", None, [])
    result = history.server.json("base-backup", "--full", policy=policy)
    assert result["removed"] == [history.incremental, history.full]
    assert [path.name for path in policy.base.iterdir()] == [result["backup"]["name"]]
    assert list(policy.wal.iterdir()) == [later]


def test_a_full_base_backup_is_taken_when_due(history: History, tmp_path: Path) -> None:
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


def test_a_concurrent_base_backup_is_skipped(history: History) -> None:
    """Two beats may be up."""
    lock = "SELECT pg_advisory_xact_lock(hashtextextended('maintenance.base_backup', 0))"
    with psycopg.connect(history.server.stack.postgres.url) as connection:
        connection.execute(lock)
        assert history.server.json("base-backup")["skipped"] is True


def test_the_task_returns_the_figures_of_the_base_backup(history: History, tmp_path: Path) -> None:
    """What it took, of which kind, and what had to go for it."""
    settings = Settings(
        database_url=history.server.stack.postgres.url,
        broker_url="redis://unused.invalid/0",
        result_backend="redis://unused.invalid/1",
        operations=Operations(
            recovery=RecoveryPolicy(history.copy(tmp_path / "recovery").directory)
        ),
    )
    with closing(Runtime(configuration(settings))) as process, closing(Run(process)) as run:
        planned = base_backups.take(Maintain(dry_run=True), run)
        result = base_backups.take(Maintain(), run)
    assert planned == BaseBackedUp(dry_run=True, kind="incremental", parent=history.incremental)
    assert (result.kind, result.parent, result.expired) == ("incremental", history.incremental, ())
    taken = tmp_path / "recovery" / "base" / str(result.base_backup)
    assert {path.name for path in taken.iterdir()} == {"backup.json", PACKED, MANIFEST}
    assert result.size > 0
    assert result.seconds > 0


@pytest.mark.parametrize("dry_run", [True, False])
def test_the_task_is_skipped_without_wal_archiving(tasks: Tasks, *, dry_run: bool) -> None:
    """A base backup alone leads to no other time; the answer says what to do."""
    answer = tasks.call("maintenance.base_backup", {"dry_run": dry_run})
    assert answer["skipped"] is True
    assert answer["base_backup"] is None
    assert "pitr setup" in answer["reason"]


def test_base_backups_call_the_hooks(history: History, tmp_path: Path) -> None:
    """With the entry of the catalog; nothing is taken if the one before it fails."""
    calls = [tmp_path / "before", tmp_path / "after"]
    before, after = (shlex.join(["tee", str(path)]) for path in calls)
    policy = dataclasses.replace(
        history.copy(tmp_path / "recovery"), before_base_backup=before, after_base_backup=after
    )
    taken = history.server.json("base-backup", policy=policy)["backup"]
    given = [json.loads(path.read_text()) for path in calls]
    assert given[0] == {
        "event": "before_base_backup",
        "directory": str(policy.directory),
        "kind": "incremental",
        "parent": taken["parent"],
    }
    assert given[1]["event"] == "after_base_backup"
    assert given[1]["entry"]["name"] == taken["name"]
    assert given[1]["entry"]["packed_bytes"] == taken["packed_bytes"] > 0
    known = sorted(policy.base.iterdir())
    policy = dataclasses.replace(policy, before_base_backup="/bin/false")
    done = history.server.call("base-backup", policy=policy)
    assert (done.exit_code, "before_base_backup" in done.stderr) == (1, True)
    assert sorted(policy.base.iterdir()) == known


def test_setup_has_the_server_run_a_command_after_it_has_archived(history: History) -> None:
    """As the server's user, with the name of the file; setup without the setting ends it."""
    server = history.server
    output = server.policy.wal / ".last.json"
    policy = dataclasses.replace(
        server.policy, after_archive=shlex.join(["tee", str(output)]), before_archive="true"
    )
    try:
        segment = server.json("setup", "--yes", policy=policy)["archived"]
        given = json.loads(output.read_text())
        assert (given["event"], given["directory"]) == ("after_archive", str(policy.directory))
        assert given["entry"]["name"] == segment
        assert (policy.wal / given["entry"]["file"]).exists()
    finally:
        server.json("setup", "--yes")
    assert not any((policy.directory / f"{when}_archive").exists() for when in ("before", "after"))
    output.unlink(missing_ok=True)
