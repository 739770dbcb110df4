"""The commands of operators on PostgreSQL 15, with its own programs and over TLS."""

import json
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import psycopg
import pytest

from tests.postgres15.conftest import Server
from tests.support.recovery import age_files, object_storage
from worker.local.server import free_port

VIEWS = (
    "connections",
    "long-queries",
    "sizes",
    "index-usage",
    "cache",
    "locks",
    "missing-indexes",
    "statistics",
    "explain",
    "autovacuum",
    "bloat",
    "pool",
    "report",
)


@pytest.fixture(scope="module")
def template(server: Server) -> str:
    """Give the id of a template with a current version, written past the service."""
    server.run(
        "WITH made AS ("
        " INSERT INTO templates (template_id, name, type) VALUES ('fifteen', 'Fifteen', 'sms')"
        " RETURNING id)"
        " INSERT INTO template_versions (template_id, version, body, is_current)"
        " SELECT id, '1', 'Hello', true FROM made"
    )
    return "fifteen"


@pytest.mark.usefixtures("template")
class TestBackups:
    """``backup``: made, checked, restored and proved by the programs of the same version."""

    @pytest.mark.parametrize("options", [(), ("--plain",)], ids=["archive", "sql"])
    def test_a_backup_is_restored_with_the_same_rows(
        self, server: Server, options: tuple[str, ...]
    ) -> None:
        """A new database has the same rows."""
        made = json.loads(server.works("backup", "create", "--json", *options))
        assert made["name"] in server.works("backup", "list")
        server.works("backup", "verify", made["name"])
        into = f"restored{len(options)}"
        server.works("backup", "restore", made["name"], "--into", into, "--json")
        url = server.url().replace("/template_service?", f"/{into}?")
        with psycopg.connect(url) as connection:
            rows = connection.execute("SELECT template_id FROM templates").fetchall()
        assert ("fifteen",) in rows

    def test_a_drill_verifies_the_newest_backup(self, server: Server) -> None:
        """In a server of its own, of version 15 too."""
        made = json.loads(server.works("backup", "create", "--json"))
        proved = json.loads(server.works("backup", "drill", "--json"))
        assert made["name"] in json.dumps(proved)


class TestViews:
    """``db``: the figures of version 15 have other names and places than those of 18."""

    @pytest.mark.parametrize("view", VIEWS)
    def test_each_monitoring_command_shows_rows(
        self, server: Server, template: str, view: str
    ) -> None:
        """As JSON and for people."""
        arguments = ("explain", template) if view == "explain" else (view,)
        assert json.loads(server.works("db", *arguments, "--json"))
        assert server.works("db", *arguments)

    def test_slow_queries_reports_the_missing_extension(self, server: Server) -> None:
        """The extension is not loaded here, and nobody can do that while the server runs."""
        done = server.call("db", "slow-queries", "--setup")
        assert done.exit_code == 1
        assert "shared_preload_libraries" in done.output

    def test_the_slow_log_is_switched_on_and_off(self, server: Server) -> None:
        """On, shown, and off again."""
        server.works("db", "slow-log", "on", "--milliseconds", "500")
        assert "500" in server.works("db", "slow-log", "status")
        server.works("db", "slow-log", "off")

    def test_kill_idle_terminates_a_session_of_another_role(self, server: Server) -> None:
        """It was idle for longer than was asked for."""
        with psycopg.connect(server.url(), autocommit=True) as idle:
            idle.execute("SELECT 1")
            server.works("db", "kill-idle", "--older-than", "0s", "--yes")
            with pytest.raises(psycopg.OperationalError):
                idle.execute("SELECT 1")

    def test_the_doctor_supports_postgresql_15(self, server: Server) -> None:
        """Every check runs; some find something here."""
        done = server.call("db", "doctor", "--json")
        assert done.exit_code in {0, 1}, done.output
        assert json.loads(done.output)


@pytest.fixture
def archived(server: Server) -> Iterator[Server]:
    """Give the server with its WAL archived, from an empty archive on."""
    server.works("pitr", "setup", "--yes")
    server.restart()
    yield server
    server.run("ALTER SYSTEM RESET archive_mode")
    server.restart()
    shutil.rmtree(server.folder / "recovery")


def test_point_in_time_recovery_works_on_postgresql_15(archived: Server, tmp_path: Path) -> None:
    """A base backup is full whenever it is taken, since increments came with version 17."""
    archived.works("pitr", "setup", "--yes")
    kinds = [json.loads(archived.works("pitr", "base-backup", "--json"))["kind"] for _ in range(2)]
    assert kinds == ["full", "full"]
    archived.run("CREATE TABLE kept (id int)")
    archived.works("pitr", "restore-point", "before")
    archived.run("DROP TABLE kept")
    archived.works("pitr", "status")
    made = archived.works(
        "pitr", "restore", "--restore-point", "before", "--into", str(tmp_path / "data")
    )
    assert "is ready" in made


def test_the_recovery_drill_proves_a_recorded_moment_on_postgresql_15(archived: Server) -> None:
    """One of several, between writes: all tables are what they were, and the WAL is verified."""
    archived.works("pitr", "base-backup")
    for _ in range(3):
        archived.run(
            "INSERT INTO templates (template_id, name, type)"
            " VALUES ('drill' || gen_random_uuid(), 'Drill', 'sms')"
        )
        archived.works("pitr", "figures")
    archived.works("pitr", "check")
    verified = json.loads(archived.works("pitr", "verify", "--json"))
    assert (verified["problems"], verified["segments"] > 0) == ([], True)
    proved = json.loads(archived.call("pitr", "drill", "--json").stdout)
    recorded = [
        json.loads(path.read_text())
        for path in (archived.folder / "recovery" / "figures").glob("*.json")
    ]
    at = datetime.fromisoformat(proved["recovered_to"])
    (moment,) = [each for each in recorded if datetime.fromisoformat(each["at"]) == at]
    assert proved["tables"] == {name: facts["rows"] for name, facts in moment["tables"].items()}
    assert proved["segments"] >= verified["segments"]


def test_damage_to_archived_wal_is_found_on_postgresql_15(archived: Server) -> None:
    """A record of archived WAL whose checksum is wrong."""
    archived.works("pitr", "base-backup")
    segment = json.loads(archived.works("pitr", "check", "--json"))["segment"]
    (path,) = (archived.folder / "recovery" / "wal").glob(f"{segment}*")
    content = path.read_bytes()
    try:
        path.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
        done = archived.call("pitr", "verify")
        assert done.exit_code == 1
        assert f"segment {segment}" in done.output
    finally:
        path.write_bytes(content)
    archived.works("pitr", "verify")


def test_encrypted_wal_in_object_storage_is_recovered_on_postgresql_15(
    server: Server, tmp_path: Path
) -> None:
    """From the archive command, which runs as the server's user, to a restore to an LSN."""
    names = {**age_files(tmp_path), "credentials_file": str(tmp_path / "credentials")}
    names |= {"target": "s3://recovery/fifteen", "directory": str(tmp_path / "recovery")}
    given = {f"TEMPLATE_SERVICE_RECOVERY_{name.upper()}": path for name, path in names.items()}
    with object_storage("recovery", tmp_path / "credentials"):
        server.works("pitr", "setup", "--yes", **given)
        server.restart()
        try:
            server.works("pitr", "base-backup", **given)
            server.run("CREATE TABLE kept_encrypted (id int)")
            server.works("pitr", "figures", **given)
            server.works("pitr", "check", **given)
            server.works("pitr", "drill", **given)  # verifies, and then restores
            ((lsn,),) = server.run("SELECT pg_current_wal_lsn()")
            server.run("DROP TABLE kept_encrypted")
            target = ("--lsn", str(lsn), "--into", str(tmp_path / "data"))
            assert "is ready" in server.works("pitr", "restore", *target, **given)
        finally:
            server.run("ALTER SYSTEM RESET archive_mode")
            server.restart()


@pytest.mark.usefixtures("template")
def test_a_standby_becomes_the_primary(server: Server, tmp_path: Path) -> None:
    """It follows over TLS, has every row, and takes writes once it is promoted."""
    port = free_port()
    data = tmp_path / "standby"
    server.works("replica", "create", "--into", str(data), "--port", str(port), "--start")
    try:
        server.works("replica", "status")
        done = server.call("replica", "promote", str(data), "--yes")
        assert done.exit_code == 1
        assert "--force" in done.output  # the primary still answers
        server.works("replica", "promote", str(data), "--yes", "--force")
        with psycopg.connect(server.url().replace(f":{server.port}/", f":{port}/")) as promoted:
            changed = promoted.execute("UPDATE templates SET name = 'New' RETURNING template_id")
            assert ("fifteen",) in changed.fetchall()
    finally:
        server.works("replica", "stop", str(data))
        server.works("replica", "drop", "standby1", "--yes")
