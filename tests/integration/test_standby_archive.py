"""A standby that was away until the primary removed the WAL it needs: it reads the archive."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from click.testing import Result
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from db.cluster.private import PrivateCluster
from db.cluster.processes import Identity, wait_until
from db.cluster.programs import Programs
from db.recovery.packed import PACKED, unpack
from tests.support.dumps import wrapped
from tests.support.recovery import Server, age_files, object_storage, recoverable
from worker.local.server import HOST, free_port

_FOLLOWS: LiteralString = """
SELECT EXISTS (SELECT FROM pg_stat_replication
               WHERE application_name = 'standby1' AND replay_lsn = pg_current_wal_lsn())
"""
_COUNT: LiteralString = "SELECT count(*) FROM templates"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a primary whose WAL is archived, encrypted.

    Without whole pages no standby can be backed up.
    """
    directory = tmp_path_factory.mktemp("primary")
    with recoverable(directory, **age_files(directory)) as server:
        postgres = server.stack.postgres
        postgres.settings = {**postgres.settings, "full_page_writes": "on"}
        # A copy has it: how far it has replayed is known soon.
        server.run("ALTER SYSTEM SET wal_receiver_status_interval = '1s'")
        postgres.restart()
        yield server


def replica(server: Server, *arguments: str, recovery: Path | None = None) -> Result:
    """Run a command of ``template-service replica``."""
    policy = replace(server.policy, directory=recovery or server.policy.directory)
    return server.run_command("replica", *arguments, policy=policy)


@pytest.fixture(params=["directory", "object storage"])
def archived(server: Server, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    """Give the primary with its archive in the directory, or in object storage."""
    with ExitStack() as stack:
        if request.param == "directory":
            yield server
            return
        credentials = tmp_path / "credentials"
        stack.enter_context(object_storage("wal-of-standbys", credentials))
        policy = replace(
            server.policy, target="s3://wal-of-standbys/here", credentials_file=str(credentials)
        )
        stack.callback(server.json, "setup", "--yes")
        stored = Server(server.stack, policy)
        stored.json("setup", "--yes")
        yield stored


@contextmanager
def standby(
    server: Server, into: Path, *options: str, recovery: Path | None = None
) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield what creating a standby printed, and its address; stopped and dropped at the end."""
    port = free_port()
    arguments = ["--into", str(into), "--host", HOST, "--port", str(port), "--json", *options]
    made = replica(server, "create", *arguments, recovery=recovery)
    try:
        assert made.exit_code == 0, made.output
        url = server.stack.postgres.url.replace(f":{server.stack.postgres.port}/", f":{port}/")
        yield json.loads(made.stdout), url
    finally:
        replica(server, "stop", str(into))
        replica(server, "drop", "standby1", "--yes")
        server.run("DROP ROLE IF EXISTS replicator")


def count(url: str) -> int:
    """Return the number of templates; -1 while the server does not answer."""
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            return int(connection.execute(_COUNT).fetchall()[0][0])
    except psycopg.OperationalError:
        return -1


def is_lost(server: Server) -> bool:
    """Tell whether a checkpoint has removed WAL that the standby needs."""
    server.run("CHECKPOINT")
    return bool(server.run("SELECT wal_status = 'lost' FROM pg_replication_slots"))


def test_a_standby_that_was_away_for_long_reads_the_archive(
    archived: Server, tmp_path: Path
) -> None:
    """The primary has removed the WAL; once it has caught up, its slot is reset and it streams."""
    server, into = archived, tmp_path / "standby"
    with standby(server, into, "--start") as (made, url):
        assert f"{server.policy.storage.wal}" in made["settings"]["restore_command"].replace(
            "'\"'\"'", "'"
        )
        assert wait_until(lambda: bool(server.run(_FOLLOWS)), 60)
        refused = replica(server, "reset-slot", "standby1")
        assert (refused.exit_code, "still retains" in refused.output) == (1, True)
        assert replica(server, "stop", str(into)).exit_code == 0
        server.run("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
        server.run("SELECT pg_reload_conf()")
        for _ in range(3):
            server.add(4)
            server.json("check")
        assert wait_until(lambda: is_lost(server), 60)
        assert "replica reset-slot standby1" in replica(server, "status").output
        assert replica(server, "start", str(into)).exit_code == 0
        assert wait_until(lambda: count(url) == server.run(_COUNT) >= 12, 60)
        assert not server.run(_FOLLOWS)
        server.run("ALTER SYSTEM RESET max_slot_wal_keep_size")
        server.run("SELECT pg_reload_conf()")
        reset = replica(server, "reset-slot", "standby1", "--json")
        assert json.loads(reset.stdout) == {"reset": "standby1"}, reset.output
        server.add(1)
        assert wait_until(lambda: bool(server.run(_FOLLOWS)), 60)
        assert count(url) == server.run(_COUNT)
        assert replica(server, "status").exit_code == 0


def test_a_path_that_a_shell_would_interpret_is_refused(server: Server, tmp_path: Path) -> None:
    """pg_ctl quotes no character of it."""
    for name in ("$HOME", '"', "`id`", "back\\slash", "two\nlines"):
        refused = replica(server, "create", "--into", str(tmp_path / name))
        assert (refused.exit_code, "a shell would interpret" in refused.output) == (1, True)
    assert not list(tmp_path.iterdir())


def test_a_copy_ends_with_the_command_that_makes_it(server: Server, tmp_path: Path) -> None:
    """Killed, it would go on for hours; what it leaves is named."""
    into, running = tmp_path / "standby", tmp_path / "running"
    tmp_path.chmod(0o777)  # the copy has a user of its own
    programs = wrapped(
        tmp_path / "bin",
        pg_basebackup=f'echo $$ >"{running}.new"; mv "{running}.new" "{running}"; exec sleep 600',
    )
    addresses = server.stack.addresses()
    addresses["TEMPLATE_SERVICE_POSTGRES_PROGRAMS"] = str(programs.folder)
    options = ["--into", str(into), "--port", str(free_port())]
    child = subprocess.Popen(
        [sys.executable, "-m", "worker", "replica", "create", *options],
        env={"PATH": os.defpath, **addresses},
    )
    try:
        assert wait_until(running.exists, 60)
        child.kill()
        child.wait()
        process = int(running.read_text())
        assert wait_until(lambda: not Identity.of(process), 20)
        refused = replica(server, "create", *options)
        assert refused.exit_code == 1
        for left in (f"{into}.partial", f"{into}.passfile", "replica drop standby1"):
            assert left in refused.output
    finally:
        child.kill()
        replica(server, "drop", "standby1", "--yes")
        server.run("DROP ROLE IF EXISTS replicator")


@pytest.mark.parametrize("archive", ["missing", "foreign"])
def test_an_archive_that_the_standby_cannot_use_is_a_warning(
    server: Server, tmp_path: Path, archive: str
) -> None:
    """With the setting to write; the standby works without it while the primary has the WAL."""
    recovery = tmp_path / "recovery"
    if archive == "foreign":
        (recovery / "wal").mkdir(parents=True)
        (recovery / "system").write_text("1\n")
    with standby(server, tmp_path / "standby", recovery=recovery) as (made, _):
        assert "restore_command" not in made["settings"]
        (warning,) = [each for each in made["warnings"] if "restore_command" in each]
        assert str(recovery / "wal") in warning


def test_a_base_backup_of_a_standby_is_restored_as_a_primary(
    server: Server, tmp_path: Path
) -> None:
    """Verified like others, and without the settings of the standby."""
    with standby(server, tmp_path / "standby", "--start") as (_, url):
        address = f"{HOST}:{conninfo_to_dict(url)['port']}"
        policy = replace(server.policy, standby=address)
        server.json("base-backup", "--full", policy=policy)
        # Incremental only if a checkpoint was replayed meanwhile.
        taken = server.json("base-backup", policy=policy)["backup"]
    folder = server.policy.base / taken["name"]
    unpack(folder / f"{PACKED}.age", tmp_path / "unpacked", server.policy.identity_file)
    assert "BACKUP FROM: standby" in (tmp_path / "unpacked" / "backup_label").read_text()
    server.add(3)
    server.json("check")
    assert server.json("verify")["problems"] == []
    into = tmp_path / "restored"
    made = server.json("restore", "--latest", "--into", str(into))
    assert made["base"][-1] == taken["name"]
    assert made["proof"]["tables"]["templates"] == server.run(_COUNT)
    settings = (into / "postgresql.auto.conf").read_text()
    assert "archive_command" in settings
    assert not [name for name in ("port", "primary_conninfo", "restore_") if name in settings]


def test_a_base_backup_of_another_cluster_is_refused(server: Server, tmp_path: Path) -> None:
    """It would be restored as this one's."""
    other = PrivateCluster(Programs.chosen(), tmp_path / "other")
    other.initialise()
    given = conninfo_to_dict(server.stack.postgres.url)
    known = sorted(server.policy.base.glob("*"))
    with other:
        with psycopg.connect(other.url(), autocommit=True) as connection:
            for statement, name in (
                ("CREATE ROLE {} SUPERUSER LOGIN", "user"),
                ("CREATE DATABASE {}", "dbname"),
            ):
                created = sql.SQL(statement).format(sql.Identifier(str(given[name])))
                connection.execute(created)
        policy = replace(server.policy, standby=str(tmp_path / "other"))
        done = server.call("base-backup", policy=policy)
    assert (done.exit_code, "belongs to cluster" in done.stderr) == (1, True), done.output
    assert sorted(server.policy.base.glob("*")) == known
