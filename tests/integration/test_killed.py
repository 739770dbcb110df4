"""What a killed process (SIGKILL) leaves behind: it is listed, and the next run removes it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from db.backup import scratch
from db.backup.create import create
from db.backup.databases import administering
from db.backup.policy import BackupPolicy
from db.backup.restore.restore import restore
from db.cluster.owned import OwnedDirectory, orphans
from db.cluster.processes import wait_until
from tests.support.dumps import wrapped
from tests.support.sample_databases import SampleDatabase, sample_database
from worker.local import LocalStack

HOLDER = """
import sys, time
from pathlib import Path
from db.cluster.owned import OwnedDirectory
owned = OwnedDirectory("drill", Path(sys.argv[1]))
(owned.path / "dump").write_text("rows")
print(owned.path, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def source(servers: LocalStack) -> Iterator[SampleDatabase]:
    """Give a database to back up."""
    with sample_database(servers) as made:
        yield made


@pytest.fixture
def policy(tmp_path: Path) -> BackupPolicy:
    """Return a place for the backups of one test, and one for its temporary files."""
    (tmp_path / "scratch").mkdir()
    return BackupPolicy(target=str(tmp_path / "backups"), scratch=str(tmp_path / "scratch"))


def doctor(source: SampleDatabase, policy: BackupPolicy, identity: str) -> list[str]:
    """Return what the doctor says of one kind of problem."""
    done = subprocess.run(
        [sys.executable, "-m", "worker", "db", "doctor", "--json"],
        env={
            "PATH": os.defpath,
            "DATABASE_URL": source.url,
            "TEMPLATE_SERVICE_BACKUP_TARGET": policy.target,
            "TEMPLATE_SERVICE_SCRATCH_DIRECTORY": policy.scratch,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    findings = json.loads(done.stdout)["findings"]
    return [finding["what"] for finding in findings if finding["id"] == identity]


@contextmanager
def killed_restore(source: SampleDatabase, policy: BackupPolicy, tmp_path: Path) -> Iterator[int]:
    """Kill a restore while pg_restore runs; yield its process number."""
    running = tmp_path / "running"
    programs = wrapped(
        tmp_path / "bin",
        pg_restore=f"""case "$*" in
*--dbname*) echo $$ > "{running}.new"; mv "{running}.new" "{running}"; exec sleep 600;;
*) exec "$REAL" "$@";;
esac""",
    )
    child = subprocess.Popen(
        [sys.executable, "-m", "worker", "backup", "restore"],
        env={
            "PATH": os.defpath,
            "DATABASE_URL": source.url,
            "TEMPLATE_SERVICE_BACKUP_TARGET": policy.target,
            "TEMPLATE_SERVICE_POSTGRES_PROGRAMS": str(programs.folder),
            "TEMPLATE_SERVICE_SCRATCH_DIRECTORY": policy.scratch,
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert wait_until(running.exists, 60)
        child.kill()
        child.wait()
        yield child.pid
    finally:
        child.kill()
        os.kill(int(running.read_text()), signal.SIGKILL)


def test_a_killed_restore_leaves_no_file_and_a_database_that_the_next_one_drops(
    source: SampleDatabase, policy: BackupPolicy, tmp_path: Path
) -> None:
    """The doctor lists it with the process that owned it."""
    create(source.client, policy)
    before = source.databases()
    with killed_restore(source, policy, tmp_path) as pid:
        assert list(Path(policy.scratch).iterdir()) == []
        (left,) = source.databases() - before
        with administering(source.url) as admin:
            assert wait_until(lambda: left in scratch.orphans(admin), 20)
            assert f"by process {pid} on" in scratch.orphans(admin)[left]
        (listed,) = doctor(source, policy, "scratch_database")
        assert left in listed
        assert f"process {pid}" in listed
        made = restore(source.client, policy).database
    assert source.databases() - before == {made}
    with administering(source.url) as admin:
        assert admin.execute(
            "SELECT shobj_description(oid, 'pg_database') AS comment FROM pg_database"
            " WHERE datname = %s",
            [made],
        ).fetchone() == {"comment": None}
        admin.execute(f"DROP DATABASE {made}".encode())


def test_a_database_in_use_is_no_orphan(source: SampleDatabase) -> None:
    """Of a restore that runs meanwhile."""
    with scratch.scratch_database(source.url) as one, scratch.scratch_database(source.url) as two:
        assert {one, two} <= source.databases()
        with administering(source.url) as admin:
            assert not {one, two} & scratch.orphans(admin).keys()
    assert not {one, two} & source.databases()


def test_a_killed_owner_s_directory_is_listed_and_removed(
    source: SampleDatabase, policy: BackupPolicy
) -> None:
    """At once, by the next directory in the same place; one in use is neither."""
    base = Path(policy.scratch)
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, policy.scratch],
        cwd=Path(__file__).resolve().parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )
    with child, OwnedDirectory("drill", base) as mine:
        assert child.stdout is not None
        left = Path(child.stdout.readline().strip())
        assert orphans(base) == {}
        child.kill()
        child.wait()
        assert orphans(base) == {left: child.pid}
        (listed,) = doctor(source, policy, "temporary_directory")
        assert str(left) in listed
        assert f"process {child.pid}" in listed
        with OwnedDirectory("restore", base):
            assert not left.exists()
            assert mine.path.exists()
    assert list(base.iterdir()) == []
