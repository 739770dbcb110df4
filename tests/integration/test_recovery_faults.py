"""What goes wrong with point-in-time recovery: each is named, ends with 1, and leaves nothing."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from db.cluster.processes import wait_until
from db.recovery.policy import RecoveryPolicy
from db.recovery.segments import NAME, segment_name, segment_number
from db.recovery.status import archive_problems
from tests.support.recovery import History, Server, flipped, lived, replaced
from worker.cli import main

_LOG = re.compile(r"the server's log is in (\S+)")
Damage = Callable[[History, RecoveryPolicy], None]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """Give a server on which something has happened."""
    with lived(tmp_path_factory.mktemp("faults"), compress=False) as history:
        yield history


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """Return what is in a folder, by name: which file, and when it was changed."""
    return {
        str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
    }


def refused(history: History, policy: RecoveryPolicy, into: Path, *arguments: str) -> Result:
    """Restore, which must fail and change nothing."""
    before, beside = files(policy.directory), sorted(into.parent.iterdir())
    done = history.server.call("restore", *arguments, "--into", str(into), policy=policy)
    assert done.exit_code == 1, done.output
    assert done.stdout == ""
    assert "Error: " in done.stderr
    assert sorted(into.parent.iterdir()) == beside
    assert files(policy.directory) == before
    for log in map(Path, _LOG.findall(done.stderr)):
        assert "recovery" in log.read_text()
        log.unlink()
    return done


def segments(policy: RecoveryPolicy) -> list[Path]:
    """Return the archived segments in order."""
    return sorted(path for path in policy.wal.iterdir() if len(path.name) == 24)


def behind(history: History, policy: RecoveryPolicy, name: str) -> Path:
    """Return the first segment after a base backup."""
    label = (policy.base / name / "backup.json").read_text()
    stop = label.split('"stop_lsn": "')[1].split('"')[0]
    number = int(stop.split("/")[1], 16) >> 24
    return policy.wal / f"{'00000001':0<16}{number + 1:08X}"


def flip_a_byte_of_data(history: History, policy: RecoveryPolicy) -> None:
    """Damage a table of the full backup."""
    table = next(path for path in (policy.base / history.full / "data/base/1").glob("1259"))
    flipped(table, 5000)


def cut_a_file_of_data(history: History, policy: RecoveryPolicy) -> None:
    """Truncate a table of the full backup."""
    table = policy.base / history.full / "data/base/1/1259"
    replaced(table, table.read_bytes()[:-8192])


def flip_a_byte_of_the_manifest(history: History, policy: RecoveryPolicy) -> None:
    """Damage what the others are compared with."""
    manifest = policy.base / history.full / "data/backup_manifest"
    flipped(manifest, manifest.stat().st_size // 2)


def remove_a_file_of_data(history: History, policy: RecoveryPolicy) -> None:
    """Take a table away."""
    (policy.base / history.full / "data/base/1/1259").unlink()


def flip_a_byte_of_the_incremental_one(history: History, policy: RecoveryPolicy) -> None:
    """Damage the last link of the chain."""
    folder = policy.base / history.incremental / "data"
    flipped(max(folder.rglob("INCREMENTAL.*"), key=lambda path: path.stat().st_size), 5000)


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_byte_of_data,
        cut_a_file_of_data,
        flip_a_byte_of_the_manifest,
        remove_a_file_of_data,
        flip_a_byte_of_the_incremental_one,
    ],
)
def test_a_damaged_base_backup_is_refused(history: History, tmp_path: Path, damage: Damage) -> None:
    """It was verified when it was taken, and is again before it is used."""
    policy = history.copy(tmp_path / "recovery")
    damage(history, policy)
    done = refused(history, policy, tmp_path / "data", "--to", history.after.isoformat())
    assert "is damaged: pg_verifybackup" in done.stderr
    assert "pitr base-backup --full" in done.stderr


def test_a_missing_parent_is_reported(history: History, tmp_path: Path) -> None:
    """The error names it, and status reports it before it is needed."""
    policy = history.copy(tmp_path / "recovery")
    shutil.rmtree(policy.base / history.full)
    done = refused(history, policy, tmp_path / "data", "--to", history.after.isoformat())
    assert f"builds on {history.full}, which is missing" in done.stderr
    status = history.server.call("status", policy=policy)
    assert status.exit_code == 1
    assert f"builds on {history.full}, which is missing" in status.stdout


def test_a_directory_without_an_entry_is_reported(history: History, tmp_path: Path) -> None:
    """It is no base backup, is named as such, and is left alone."""
    policy = history.copy(tmp_path / "recovery")
    (policy.base / history.incremental / "backup.json").unlink()
    status = history.server.call("status", policy=policy)
    assert status.exit_code == 1
    assert f"{history.incremental} has no readable backup.json" in status.stdout


def test_what_a_killed_base_backup_left_is_listed(history: History, tmp_path: Path) -> None:
    """By status and doctor, until the next base backup removes it; one under way is not."""
    policy = history.copy(tmp_path / "recovery")
    left, under_way = (policy.base / f"20260101T00000{n}.000000Z.partial" for n in (1, 2))
    for folder in (left, under_way):
        (folder / "data").mkdir(parents=True)
    a_week_ago = time.time() - timedelta(days=7).total_seconds()
    os.utime(left, (a_week_ago, a_week_ago))
    status = history.server.call("status", policy=policy)
    assert status.exit_code == 1
    assert f"{left.name} was left behind by an interrupted base backup" in status.stdout
    assert under_way.name not in status.stdout
    environment = history.server.stack.addresses() | {
        "TEMPLATE_SERVICE_RECOVERY_DIRECTORY": str(policy.directory)
    }
    doctor = CliRunner(env=environment).invoke(main, ["db", "doctor", "--json"])
    found = {each["id"]: each["what"] for each in json.loads(doctor.stdout)["findings"]}
    assert left.name in found["base_backup_interrupted"]
    history.server.json("base-backup", policy=policy)
    assert not left.exists()


@pytest.mark.parametrize("target", ["between", "latest", "point"])
def test_a_gap_in_the_archive_is_reported(history: History, tmp_path: Path, target: str) -> None:
    """A recovery would take it for the end of the archive and say nothing."""
    policy = history.copy(tmp_path / "recovery")
    gap = behind(history, policy, history.full)
    gap.unlink()
    arguments = {
        "between": ["--to", history.between.isoformat()],
        "point": ["--restore-point", history.point],
        "latest": ["--latest", "--from", history.full],
    }
    done = refused(history, policy, tmp_path / "data", *arguments[target])
    assert f"segment {gap.name} is missing" in done.stderr
    status = history.server.call("status", policy=policy)
    assert status.exit_code == 1
    assert f"segment {gap.name} is missing" in status.stdout


def test_times_after_a_gap_can_be_restored(history: History, tmp_path: Path) -> None:
    """From the base backup that was taken after it."""
    policy = history.copy(tmp_path / "recovery")
    behind(history, policy, history.full).unlink()
    result = history.server.json(
        "restore",
        "--to",
        history.after.isoformat(),
        "--into",
        str(tmp_path / "data"),
        policy=policy,
    )
    assert result["proof"]["tables"]["templates"] == 25


def test_a_truncated_segment_is_reported(history: History, tmp_path: Path) -> None:
    """The error has its size."""
    policy = history.copy(tmp_path / "recovery")
    cut = behind(history, policy, history.full)
    replaced(cut, cut.read_bytes()[:1000])
    done = refused(history, policy, tmp_path / "data", "--to", history.between.isoformat())
    assert f"segment {cut.name} has 1000 bytes instead of 16777216" in done.stderr


@pytest.mark.parametrize("target", ["between", "latest"])
def test_a_damaged_segment_is_reported(history: History, tmp_path: Path, target: str) -> None:
    """PostgreSQL takes it for the end of WAL, which is less than was asked for."""
    policy = history.copy(tmp_path / "recovery")
    damaged = behind(history, policy, history.full)
    content = damaged.read_bytes()
    replaced(damaged, content[:60] + bytes(1000) + content[1060:])
    arguments = {
        "between": ["--to", history.between.isoformat()],
        "latest": ["--latest", "--from", history.full],
    }
    messages = {
        "between": "checksum in record at 0/",
        "latest": f"WAL was replayed to 0/{int(damaged.name[-2:], 16):X}000000 only",
    }
    done = refused(history, policy, tmp_path / "data", *arguments[target])
    assert messages[target] in done.stderr
    assert "from a base backup after it" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "2020-01-01T00:00:00Z"], "before the first base backup"),
        (["--to", "2200-01-01T00:00:00Z"], "archived WAL ends before"),
        (["--lsn", "0/1000028"], "before the first base backup"),
        (["--lsn", "FF/0"], "archived WAL ends before LSN FF/0"),
        (["--restore-point", "nobody made it"], "is not in the archived WAL"),
        (["--before-transaction", "2000000000"], "is not in the archived WAL"),
        (["--latest", "--from", "nobody-took-it"], "base backup nobody-took-it does not exist"),
        (["--latest", "--timeline", "7"], "no base backup leads to timeline 7"),
    ],
)
def test_a_target_that_is_not_in_the_archive_is_refused(
    history: History, tmp_path: Path, arguments: list[str], message: str
) -> None:
    """What can be reached is said instead, before anything is built."""
    policy = history.copy(tmp_path / "recovery")
    done = refused(history, policy, tmp_path / "data", *arguments)
    assert message in done.stderr


def test_an_existing_directory_is_never_overwritten(history: History, tmp_path: Path) -> None:
    """Not even over an empty folder."""
    policy = history.copy(tmp_path / "recovery")
    (tmp_path / "data").mkdir()
    done = refused(history, policy, tmp_path / "data", "--latest")
    assert "already exists" in done.stderr
    done = history.server.call("restore", "--latest", "--into", str(tmp_path / "no" / "data"))
    assert done.exit_code == 1
    assert f"directory {tmp_path / 'no'} does not exist" in done.stderr


def test_a_missing_archive_is_reported(history: History, tmp_path: Path) -> None:
    """The setting is named."""
    policy = RecoveryPolicy(tmp_path / "nothing")
    (tmp_path / "nothing").mkdir()
    done = refused(history, policy, tmp_path / "data", "--latest")
    assert "TEMPLATE_SERVICE_RECOVERY_DIRECTORY" in done.stderr
    listed = history.server.call("transactions", "--from", "2026-01-01T00:00Z", policy=policy)
    assert listed.exit_code == 1
    assert "no base backup in" in listed.stderr


@pytest.mark.parametrize(
    "arguments", [[], ["--latest", "--to", "2026-01-01"], ["--to", "soon"], ["--lsn", "7"]]
)
def test_an_invalid_target_is_a_usage_error(
    history: History, tmp_path: Path, arguments: list[str]
) -> None:
    """A slip of an operator under stress is explained, not guessed."""
    done = history.server.call("restore", *arguments, "--into", str(tmp_path / "data"))
    assert done.exit_code == 2
    assert "Usage: " in done.stderr


def test_an_unwritable_archive_is_reported(history: History, tmp_path: Path) -> None:
    """The server continues and keeps its WAL; commands that wait for a segment fail."""
    server = history.server
    hidden = server.policy.directory.with_name("hidden")
    server.policy.directory.rename(hidden)
    try:
        done = server.call("restore-point", "lost")
        assert done.exit_code == 1
        assert "the server did not archive 0000" in done.stderr
        assert "see the server's log" in done.stderr
        done = server.call("status", policy=RecoveryPolicy(hidden))
        assert done.exit_code == 1
        assert "was not archived: see the server's log" in done.stdout
    finally:
        hidden.rename(server.policy.directory)
    assert wait_until(lambda: server.call("status").exit_code == 0, 90, every=1)


def test_a_base_backup_that_fails_changes_nothing(history: History, tmp_path: Path) -> None:
    """Neither the others nor the archive; retention comes after a good one only."""
    policy = dataclasses.replace(history.copy(tmp_path / "recovery"), keep=1)
    leftover = policy.base / "20200101T000000.000000Z.partial"
    leftover.mkdir()
    before = {name: file for name, file in files(policy.directory).items() if "2020" not in name}
    with limited(history.server):
        done = history.server.call("base-backup", "--full", policy=policy)
    assert done.exit_code == 1
    assert "pg_basebackup ended with status 1" in done.stderr
    left = {name: file for name, file in files(policy.directory).items() if name != "base"}
    before.pop("base")
    assert left == before


def test_base_backups_of_another_cluster_are_refused(history: History, tmp_path: Path) -> None:
    """Two servers do not share a folder."""
    policy = history.copy(tmp_path / "recovery")
    entry = policy.base / history.incremental / "backup.json"
    content = entry.read_text()
    system = history.server.run("SELECT system_identifier::text FROM pg_control_system()")
    replaced(entry, content.replace(system, "1").encode())
    done = history.server.call("base-backup", policy=policy)
    assert done.exit_code == 1
    assert f"belong to cluster 1, the server is cluster {system}" in done.stderr
    for folder in policy.base.iterdir():
        shutil.rmtree(folder)
    replaced(policy.directory / "system", b"7\n")
    done = history.server.call("base-backup", policy=policy)
    assert done.exit_code == 1
    assert "has the WAL of another cluster: its system identifier is 7" in done.stderr


def test_a_role_without_permission_gets_a_remedy(history: History, tmp_path: Path) -> None:
    """Neither set it up nor copy the cluster; a restore uses what is archived already."""
    server = history.server
    server.run("CREATE ROLE reader LOGIN PASSWORD 'reads'")
    url = server.stack.postgres.url.replace(server.stack.postgres.password, "reads")
    url = url.replace("//template_service:", "//reader:")
    try:
        environment = {"TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL": url}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            done = server.call("setup", "--yes", "--archive-timeout", "30")
            assert done.exit_code == 1
            assert "may not change the server's settings" in done.stderr
            done = server.call("base-backup")
            assert done.exit_code == 1
            assert "ALTER ROLE ... REPLICATION" in done.stderr
            into = tmp_path / "data"
            done = server.call("restore", "--restore-point", history.point, "--into", str(into))
            assert "using WAL already archived" in done.stderr
            assert done.exit_code == 0, done.output
            assert "15 rows" in done.stdout
    finally:
        server.run("DROP ROLE reader")
    assert server.run("SHOW archive_timeout") == "1min"


class limited:  # noqa: N801 - used as a function is
    """Have no connection left for a replica or a base backup."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connections: list[psycopg.Connection] = []

    def __enter__(self) -> None:
        """Take them all."""
        url = self._server.stack.postgres.url + "?replication=true"
        for _ in range(int(self._server.run("SHOW max_wal_senders"))):
            self._connections.append(psycopg.connect(url, autocommit=True))

    def __exit__(self, *_: object) -> None:
        """Give them back."""
        for connection in self._connections:
            connection.close()
        # The server notices in its own time.
        wait_until(lambda: self._server.run("SELECT count(*) FROM pg_stat_replication") == 0, 30)


def strange_segment(history: History, policy: RecoveryPolicy, timeline: int, step: int) -> Path:
    """Put a segment of another cluster into the archive; return its path."""
    last = max(path for path in policy.wal.iterdir() if NAME.fullmatch(path.name))
    content = bytearray(last.read_bytes())
    content[24:32] = (7).to_bytes(8, "little")
    size = len(content)
    number = segment_number(last.name, size) + step
    path = policy.wal / segment_name(timeline, number, size)
    path.write_bytes(content)
    return path


def test_a_segment_of_another_cluster_is_ignored_and_reported(
    history: History, tmp_path: Path
) -> None:
    """Also one on a newer timeline, and a history file: the cluster's own history decides."""
    policy = history.copy(tmp_path / "recovery")
    strays = [strange_segment(history, policy, 1, 5), strange_segment(history, policy, 9, 0)]
    (policy.wal / "00000009.history").write_text("8\t9/5000028\tno recovery target specified\n")
    (tmp_path / "into").mkdir()
    arguments = ("restore", "--latest", "--into", str(tmp_path / "into" / "data"))
    assert history.server.json(*arguments, policy=policy)["proof"]["timeline"] == 2
    told = history.server.call("status", policy=policy)
    assert told.exit_code == 1
    for stray in strays:
        assert f"segment {stray.name} is of another cluster (7)" in told.stdout
    assert "timeline 1" in told.stdout
    found = archive_problems(policy)
    assert len(found) == len(strays)


def test_a_segment_of_another_cluster_in_the_way_is_damage(
    history: History, tmp_path: Path
) -> None:
    """It is not replayed."""
    policy = history.copy(tmp_path / "recovery")
    own = behind(history, policy, history.full)
    content = bytearray(own.read_bytes())
    content[24:32] = (7).to_bytes(8, "little")
    replaced(own, bytes(content))
    done = refused(history, policy, tmp_path / "data", "--latest", "--from", history.full)
    assert f"segment {own.name} is of another cluster (7)" in done.stderr


def test_a_gap_is_found_without_reading_the_wal(history: History, tmp_path: Path) -> None:
    """For the doctor, which runs often."""
    policy = history.copy(tmp_path / "recovery")
    assert archive_problems(policy) == []
    gap = behind(history, policy, history.full)
    gap.unlink()
    assert archive_problems(policy) == [
        f"segment {gap.name} is missing, after base backup {history.full}"
    ]
    told = json.loads(history.server.call("status", "--json", policy=policy).stdout)
    (first, second) = told["ranges"]
    assert first[0] <= first[1] < second[0] <= second[1]
    assert (told["earliest"], told["latest"]) == (first[0], second[1])
    taken = history.server.call("base-backup", "--dry-run", policy=policy)
    assert f"! segment {gap.name} is missing" in taken.stdout
    shutil.rmtree(policy.wal)
    assert archive_problems(policy) == [f"the archive directory {policy.wal} does not exist"]
    told = history.server.call("status", policy=policy)
    assert told.exit_code == 1
    assert f"the archive directory {policy.wal} does not exist" in told.stdout


def test_an_archive_of_another_cluster_is_refused(history: History, tmp_path: Path) -> None:
    """By the setup, from its mark or from its segments, and by the archive command."""
    policy = history.copy(tmp_path / "recovery")
    mark = policy.directory / "system"
    system = mark.read_text().strip()
    assert system == history.server.run("SELECT system_identifier::text FROM pg_control_system()")
    replaced(mark, b"7\n")
    done = history.server.call("setup", "--yes", policy=policy)
    assert done.exit_code == 1
    assert "has the WAL of another cluster: its system identifier is 7" in done.stderr
    data = history.server.stack.postgres.data
    segment = next(path for path in (data / "pg_wal").iterdir() if NAME.fullmatch(path.name))
    command = ["sh", str(policy.directory / "archive.sh"), str(segment)]
    target = policy.wal / ("F" * 24)
    refusal = subprocess.run(
        [*command, str(target)], cwd=data, capture_output=True, text=True, check=False
    )
    assert refusal.returncode == 1
    assert f"is the archive of cluster 7, this is {system}" in refusal.stderr
    assert not target.exists()
    replaced(mark, f"{system}\n".encode())
    assert subprocess.run([*command, str(target)], cwd=data, check=False).returncode == 0
    mark.unlink()
    for path in policy.wal.iterdir():
        path.unlink()
    strange = tmp_path / segment.name
    content = bytearray(target.read_bytes() if target.exists() else segment.read_bytes())
    content[24:32] = (7).to_bytes(8, "little")
    strange.write_bytes(content)
    strange.rename(policy.wal / segment.name)
    done = history.server.call("setup", "--yes", policy=policy)
    assert (done.exit_code, "its system identifier is 7" in done.stderr) == (1, True)
