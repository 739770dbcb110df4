"""``template-service replica``: two real servers, one of which follows the other."""

import json
import shutil
import stat
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from click.testing import CliRunner, Result
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from db.addresses import Database
from db.cluster.private import PrivateCluster
from db.cluster.processes import wait_until
from db.cluster.programs import Programs
from db.replication.primary import drop_login, ensure_login
from db.replication.servers import connected
from db.session import is_transient, make_engine
from tests.support.stacks import without_fsync
from worker.cli import main
from worker.local import LocalPostgres, LocalValkey
from worker.local.server import HOST, free_port
from worker.preflight import StartError, check
from worker.settings import Settings

SECRET = "pass-word-that-nobody-may-see"  # noqa: S105 - of no server
PROGRAMS = Programs.chosen()
WAITING: LiteralString = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"

# In the files of the primary, which ignores them until its next start, or for good.
UNUSUAL: tuple[LiteralString, ...] = (
    "ALTER SYSTEM SET recovery_target = 'immediate'",
    "ALTER SYSTEM SET recovery_target_action = 'promote'",
    "ALTER SYSTEM SET recovery_min_apply_delay = '1h'",
    "ALTER SYSTEM SET hot_standby = off",
    "ALTER SYSTEM SET external_pid_file = 'primary.pid'",
    "ALTER SYSTEM SET max_worker_processes = 3",
)


def called(*arguments: str, url: str, **environment: str) -> Result:
    """Run ``template-service replica`` with that DATABASE_URL."""
    variables = {"DATABASE_URL": url, **environment}
    return CliRunner().invoke(main, ["replica", *arguments], env=variables)


def answered(*arguments: str, url: str) -> dict[str, Any]:
    """Return the JSON of a command that does what it was asked."""
    result = called(*arguments, "--json", url=url)
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


@dataclass(frozen=True)
class Pair:
    """A primary and a standby named standby1; ``made`` is what making it printed."""

    primary: LocalPostgres
    directory: Path
    port: int
    made: dict[str, Any]

    @property
    def address(self) -> str:
        """Where the standby listens."""
        return f"{HOST}:{self.port}"

    @property
    def standby_url(self) -> str:
        """The database on the standby."""
        return self.primary.url.replace(f":{self.primary.port}/", f":{self.port}/")

    @property
    def both(self) -> str:
        """Both servers, the standby first."""
        hosts = f"{self.address},{HOST}:{self.primary.port}"
        return self.primary.url.replace(f"{HOST}:{self.primary.port}", hosts)

    def run(self, statement: LiteralString) -> list[tuple[Any, ...]]:
        """Run a statement on the primary."""
        return run(self.primary.url, statement)

    def caught_up(self) -> bool:
        """Tell whether the standby streams and has replayed all there is."""
        standbys = json.loads(called("status", "--json", url=self.primary.url).stdout)["standbys"]
        return [each["replay_lag_bytes"] for each in standbys] == [0]


def run(url: str, statement: LiteralString) -> list[tuple[Any, ...]]:
    """Run a statement that commits by itself, and return its rows."""
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder that a server of another user may reach."""
    return tmp_path_factory.mktemp("replication")


@pytest.fixture(scope="module")
def primary(folder: Path) -> Iterator[LocalPostgres]:
    """Give a primary that logs every statement."""
    with without_fsync(LocalPostgres(folder / "primary", die_with_parent=True)) as primary:
        run(primary.url, "ALTER SYSTEM SET log_statement = 'all'")
        run(primary.url, "SELECT pg_reload_conf()")
        run(primary.url, "CREATE TABLE items (id int PRIMARY KEY)")
        for setting in UNUSUAL:
            run(primary.url, setting)
        yield primary


@pytest.fixture(scope="module")
def pair(primary: LocalPostgres, folder: Path) -> Iterator[Pair]:
    """Give the primary with a standby that follows it."""
    directory, port = folder / "standby", free_port()
    arguments = ["--into", str(directory), "--host", HOST, "--port", str(port), "--start"]
    try:
        made = answered("create", *arguments, url=primary.url)
        yield Pair(primary, directory, port, made)
    finally:
        called("stop", str(directory), url=primary.url)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a data directory whose server does not run."""
    data = tmp_path_factory.mktemp("bare") / "data"
    PrivateCluster(PROGRAMS, data).initialise()
    yield data
    shutil.rmtree(data)


class TestCreate:
    """``replica create``."""

    def test_a_standby_follows_its_primary_and_is_read_only(self, pair: Pair) -> None:
        """What is committed there can be read here, and nothing be written."""
        number = uuid.uuid4().int % 2**31
        with psycopg.connect(pair.primary.url) as connection:
            connection.execute("INSERT INTO items VALUES (%s)", [number])
        assert wait_until(
            lambda: (number,) in run(pair.standby_url, "SELECT id FROM items"), timeout=20
        )
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            run(pair.standby_url, "DELETE FROM items")

    def test_the_slot_retains_wal_for_the_standby(self, pair: Pair) -> None:
        """And is named as the standby is."""
        assert wait_until(pair.caught_up, 20)
        (slot,) = answered("status", url=pair.primary.url)["slots"]
        assert (slot["name"], slot["active"], slot["wal_status"]) == ("standby1", True, "reserved")
        assert pair.made["settings"]["max_slot_wal_keep_size"] == "-1"
        assert any("max_slot_wal_keep_size" in warning for warning in pair.made["warnings"])

    def test_the_password_is_stored_in_one_private_file(self, pair: Pair) -> None:
        """Of its user alone: not in settings, not in a log, and as a verifier on the server."""
        passfile = Path(pair.made["passfile"])
        password = passfile.read_text().strip().rpartition(":")[2]
        assert len(password) >= 32
        assert stat.S_IMODE(passfile.stat().st_mode) == 0o600
        assert passfile.stat().st_uid == pair.directory.stat().st_uid
        assert not passfile.is_relative_to(pair.directory)
        for file in (
            pair.directory / "postgresql.auto.conf",
            pair.directory.with_name("standby.log"),
            pair.primary.log,
        ):
            assert password not in file.read_text()
        assert "CREATE ROLE" in pair.primary.log.read_text()
        ((stored,),) = pair.run("SELECT rolpassword FROM pg_authid WHERE rolname = 'replicator'")
        assert stored.startswith("SCRAM-SHA-256$")

    def test_a_standby_gets_the_primarys_command_line_settings(self, pair: Pair) -> None:
        """The primary has them from its command line; with fewer connections it would not start."""
        shown: LiteralString = (
            "SELECT current_setting('max_connections'), current_setting('shared_preload_libraries')"
        )
        assert pair.run(shown) == run(pair.standby_url, shown) == [("200", "pg_stat_statements")]

    def test_a_standby_applies_no_recovery_settings_of_its_primary(self, pair: Pair) -> None:
        """They would end its recovery, or keep it from starting."""
        ((workers, pid_file, target, delay),) = run(
            pair.standby_url,
            "SELECT current_setting('max_worker_processes')::int,"
            " current_setting('external_pid_file'), current_setting('recovery_target'),"
            " current_setting('recovery_min_apply_delay')",
        )
        assert (workers, pid_file, target, delay) == (8, "", "", "0")

    def test_a_standby_starts_stops_and_catches_up(self, pair: Pair) -> None:
        """Twice is as good as once; what was written meanwhile it gets from its slot."""
        folder = str(pair.directory)
        for output in ("Stopped.", "It was not running."):
            assert output in called("stop", folder, url=pair.primary.url).output
        pair.run("DELETE FROM items")
        pair.run("SELECT pg_switch_wal()")
        away = called("status", url=pair.primary.url)
        assert away.exit_code == 1
        assert "standby 'standby1' is not connected" in away.output
        for _ in range(2):
            assert called("start", folder, url=pair.primary.url).exit_code == 0
        assert wait_until(pair.caught_up, 30)

    def test_missing_configuration_files_are_created(self, tmp_path: Path) -> None:
        """Debian keeps them in /etc, so that a copy has none and would not start."""
        data, etc, port = tmp_path / "data", tmp_path / "etc", free_port()
        PrivateCluster(PROGRAMS, data).initialise()
        etc.mkdir()
        for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):
            (data / name).rename(etc / name)
        (etc / "pg_hba.conf").write_text(
            "local all all trust\nlocal replication replicator scram-sha-256\n"
        )
        with (etc / "postgresql.conf").open("a") as file:
            file.write("max_connections = 123\n")
        files = {"config_file": "postgresql.conf", "hba_file": "pg_hba.conf"}
        settings = {setting: str(etc / name) for setting, name in files.items()}
        with PrivateCluster(PROGRAMS, data, settings=settings) as cluster:
            run(cluster.url(), "ALTER ROLE scratch PASSWORD 'known'")
            try:
                made = answered(
                    *("create", "--into", str(tmp_path / "standby"), "--start"),
                    *("--host", HOST, "--port", str(port)),
                    url=cluster.url(),
                )
                url = f"postgresql://scratch:known@{HOST}:{port}/postgres"
                assert run(url, "SELECT current_setting('max_connections')") == [("123",)]
                with pytest.raises(psycopg.OperationalError, match="no password supplied"):
                    run(url.replace(":known", ""), "SELECT 1")
            finally:
                called("stop", str(tmp_path / "standby"), url=cluster.url())
        assert any("pg_hba.conf lets in every role" in warning for warning in made["warnings"])


class TestStatus:
    """``replica status``."""

    def test_status_shows_lag_in_bytes_and_seconds(self, pair: Pair) -> None:
        """A standby that receives and does not replay is behind, until it does."""
        assert wait_until(pair.caught_up, 20)
        run(pair.standby_url, "SELECT pg_wal_replay_pause()")
        try:
            pair.run("CREATE TABLE IF NOT EXISTS lag (id int)")
            pair.run("INSERT INTO lag SELECT generate_series(1, 1000)")

            def behind() -> bool:
                (standby,) = answered("status", url=pair.primary.url)["standbys"]
                return bool(standby["replay_lag_bytes"] > 10_000 > standby["flush_lag_bytes"])

            assert wait_until(behind, 20)
            received = answered("status", pair.address, url=pair.primary.url)["received"]
            assert received["replay_lag_bytes"] > 10_000
        finally:
            run(pair.standby_url, "SELECT pg_wal_replay_resume()")
        assert wait_until(pair.caught_up, 20)
        received = answered("status", pair.address, url=pair.primary.url)["received"]
        assert (received["replay_lag_bytes"], received["replay_lag_seconds"]) == (0, 0)

    @pytest.mark.parametrize("named", ["address", "directory"])
    def test_status_accepts_an_address_or_a_data_directory(self, pair: Pair, named: str) -> None:
        """And says from whom it receives."""
        server = str(getattr(pair, named))
        assert wait_until(pair.caught_up, 20)
        answer = answered("status", server, url=pair.primary.url)
        assert answer["role"] == "standby"
        assert answer["received"]["receiver"] == "streaming"
        assert answer["received"]["primary_port"] == pair.primary.port
        assert answer["received"]["slot"] == "standby1"

    def test_status_reports_a_lost_slot_with_a_remedy(self, pair: Pair) -> None:
        """Its standby can only be made anew."""
        pair.run("SELECT pg_create_physical_replication_slot('gone', true)")

        def is_lost() -> bool:
            pair.run("CHECKPOINT")
            shown = pair.run("SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'gone'")
            return shown == [("lost",)]

        try:
            for _ in range(3):
                pair.run("CREATE TABLE IF NOT EXISTS fill (id int)")
                pair.run("INSERT INTO fill VALUES (1)")
                pair.run("SELECT pg_switch_wal()")
            # Not before: a checkpoint meanwhile would take the WAL of a standby that lags, too.
            assert wait_until(pair.caught_up, 20)
            pair.run("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
            pair.run("SELECT pg_reload_conf()")
            assert wait_until(is_lost, 20)
            result = called("status", url=pair.primary.url)
        finally:
            pair.run("ALTER SYSTEM RESET max_slot_wal_keep_size")
            pair.run("SELECT pg_reload_conf()")
            assert called("drop", "gone", "--yes", url=pair.primary.url).exit_code == 0
        assert result.exit_code == 1
        assert "the WAL that standby 'gone' needs was removed" in result.output
        assert "replica drop gone" in result.output
        assert "standby1'" not in result.stderr


class TestSynchronous:
    """``replica synchronous``."""

    def test_synchronous_writes_wait_for_the_standby(self, pair: Pair) -> None:
        """A write without a standby is not acknowledged; switching off lets it go on."""
        output = called("synchronous", "on", url=pair.primary.url)
        assert output.exit_code == 0, output.output
        assert "writes stop until" in output.output
        (standby,) = answered("status", url=pair.primary.url)["standbys"]
        assert standby["sync_state"] == "sync"
        called("stop", str(pair.directory), url=pair.primary.url)
        with ThreadPoolExecutor(1) as thread:
            write = thread.submit(run, pair.primary.url, "CREATE TABLE IF NOT EXISTS late (id int)")
            try:
                assert wait_until(lambda: pair.run(WAITING) == [(1,)], 20)
                assert "writes are blocked" in called("status", url=pair.primary.url).output
                assert not write.done()
            finally:
                off = called("synchronous", "off", url=pair.primary.url)
            assert off.exit_code == 0, off.output
            write.result(20)
        called("start", str(pair.directory), url=pair.primary.url)
        assert wait_until(pair.caught_up, 30)
        again = called("synchronous", "off", url=pair.primary.url)
        assert (again.exit_code, again.output) == (0, "Replication was asynchronous already.\n")

    def test_synchronous_replication_needs_a_connected_standby(self, pair: Pair) -> None:
        """Every write would wait."""
        assert wait_until(pair.caught_up, 20)
        result = called("synchronous", "on", "standby1", "nobody", url=pair.primary.url)
        assert result.exit_code == 1
        assert "streams no WAL to nobody" in result.output
        assert pair.run("SELECT current_setting('synchronous_standby_names')") == [("",)]

    def test_a_lost_synchronous_standby_can_be_replaced(self, pair: Pair) -> None:
        """The role of the new one is created, while other commits wait (30 s, if this one does)."""
        pair.run("ALTER SYSTEM SET synchronous_standby_names = 'lost'")
        try:
            pair.run("SELECT pg_reload_conf()")
            assert wait_until(lambda: pair.run("SHOW synchronous_standby_names") == [("lost",)], 30)
            with connected(pair.primary.url) as connection:
                connection.execute("SET statement_timeout = '30s'")
                drop_login(connection, ensure_login(connection, "another_standby", None))
                assert connection.execute("SHOW synchronous_commit").fetchone() == ("local",)
        finally:
            pair.run("ALTER SYSTEM RESET synchronous_standby_names")
            pair.run("SELECT pg_reload_conf()")


class TestPromote:
    """``replica promote``; under load in ``tests/chaos/test_failover.py``."""

    def test_promotion_is_refused_while_the_primary_answers(self, pair: Pair) -> None:
        """Found by what the standby follows, though the address does not name the primary."""
        for url, server in ((pair.both, []), (pair.standby_url, [pair.address])):
            result = called("promote", *server, "--yes", url=url)
            assert result.exit_code == 1
            assert f"the primary at {HOST}:{pair.primary.port} answers" in result.output
        assert run(pair.standby_url, "SELECT pg_is_in_recovery()") == [(True,)]

    def test_a_primary_is_not_promoted(self, pair: Pair) -> None:
        """Nor is one found where only a primary is named."""
        server = f"{HOST}:{pair.primary.port}"
        assert (
            "is already a primary"
            in called("promote", server, "--yes", url=pair.primary.url).output
        )
        assert "must be a standby" in called("promote", "--yes", url=pair.primary.url).output

    def test_promotion_asks_for_confirmation(self, pair: Pair) -> None:
        """Nobody there to answer is no."""
        result = called("promote", pair.address, url=pair.primary.url)
        assert result.exit_code == 1
        assert "Promote the standby at" in result.output
        assert run(pair.standby_url, "SELECT pg_is_in_recovery()") == [(True,)]

    def test_a_forced_promotion_diverges_and_becomes_asynchronous(
        self, pair: Pair, folder: Path
    ) -> None:
        """A standby inherits synchronous_standby_names; promotion resets it, and says so."""
        directory, port = folder / "second", free_port()
        secret = folder / "secret"
        secret.write_text(Path(pair.made["passfile"]).read_text().strip().rpartition(":")[2] + "\n")
        assert wait_until(pair.caught_up, 20)
        try:
            called("synchronous", "on", "standby1", url=pair.primary.url)
            answered(
                *("create", "--into", str(directory), "--name", "second", "--start"),
                *("--host", HOST, "--port", str(port), "--password-file", str(secret)),
                url=pair.primary.url,
            )
            done = answered("promote", f"{HOST}:{port}", "--force", "--yes", url=pair.primary.url)
            url = pair.primary.url.replace(f":{pair.primary.port}/", f":{port}/")
            run(url, "CREATE TABLE only_here (id int)")
        finally:
            called("synchronous", "off", url=pair.primary.url)
            called("stop", str(directory), url=pair.primary.url)
            assert wait_until(
                lambda: called("drop", "second", "--yes", url=pair.primary.url).exit_code == 0, 20
            )
        assert done["timeline"] == 2
        notes = " ".join(done["notes"])
        for words in ("Synchronous replication is off", "replica create", "are missing"):
            assert words in notes
        assert f"{HOST}:{pair.primary.port}" in notes


class TestFaults:
    """Each fault is reported with a remedy, and leaves nothing behind."""

    @contextmanager
    def untouched(self, primary: LocalPostgres, folder: Path) -> Iterator[None]:
        """See that files, roles and slots are as they were."""

        def state() -> tuple[object, ...]:
            roles = run(primary.url, "SELECT rolname, rolpassword FROM pg_authid ORDER BY 1")
            slots = run(primary.url, "SELECT slot_name FROM pg_replication_slots ORDER BY 1")
            return sorted(path.name for path in folder.iterdir()), roles, slots

        before = state()
        yield
        assert state() == before

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--into", "{folder}/primary"], "already exists"),
            (["--into", "{folder}/no/such"], "is not a directory"),
            (["--name", "Not-A-Slot"], "lower-case letters"),
            (["--name", "standby1", "--user", "other"], "replica drop standby1"),
            (["--user", "template_service"], "is a superuser"),
            ([], "--password-file"),
            (["--password-file", "{secret}"], "refuses the password of role 'replicator'"),
            (["--password-file", "{empty}"], "write only the password into it"),
            (["--port", "{taken}"], "choose another --host or --port"),
            (["--synchronous"], "requires --start"),
        ],
    )
    def test_impossible_options_are_refused(
        self, pair: Pair, folder: Path, tmp_path: Path, options: list[str], message: str
    ) -> None:
        """Known before anything is copied."""
        names: Mapping[str, object] = {
            "folder": folder,
            "secret": tmp_path / "secret",
            "empty": tmp_path / "empty",
            "taken": pair.primary.port,
        }
        (tmp_path / "secret").write_text(SECRET)
        (tmp_path / "empty").touch()
        with self.untouched(pair.primary, folder):
            result = called(
                *("create", "--into", str(folder / "new"), "--name", "new"),
                *("--host", HOST, "--port", str(free_port())),
                *(option.format(**names) for option in options),
                url=pair.primary.url,
            )
        assert result.exit_code != 0
        assert message in result.output
        assert SECRET not in result.output

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("postgresql://template_service:{secret}@{primary}/template_service", "password"),
            ("postgresql://template_service:{password}@127.0.0.1:1/template_service", "runs"),
            ("postgresql://template_service:{password}@{standby}/template_service", "standby"),
            ("postgresql://few_rights:few@{primary}/template_service", "to a superuser"),
        ],
        ids=["a wrong password", "a primary that is away", "a standby", "a role without rights"],
    )
    def test_an_invalid_server_address_is_refused(
        self, pair: Pair, folder: Path, url: str, message: str
    ) -> None:
        """The error says what is wrong with it."""
        pair.run("DROP ROLE IF EXISTS few_rights")
        pair.run("CREATE ROLE few_rights LOGIN PASSWORD 'few'")
        address = url.format(
            secret=SECRET,
            password=pair.primary.password,
            primary=f"{HOST}:{pair.primary.port}",
            standby=pair.address,
        )
        with self.untouched(pair.primary, folder):
            result = called(
                *("create", "--into", str(folder / "new"), "--name", "new", "--user", "fresh"),
                *("--host", HOST, "--port", str(free_port())),
                url=address,
            )
        assert result.exit_code == 1
        assert message in result.output
        for password in (SECRET, pair.primary.password):
            assert password not in result.output

    @pytest.mark.parametrize(
        ("program", "script", "message"),
        [
            ("pg_basebackup", "touch {data}/half; kill -9 $$", "was killed by signal 9"),
            ("pg_basebackup", "echo No space left on device >&2; exit 1", "free some space"),
            ("pg_basebackup", '"{real}" "$@"; echo x >> {data}/PG_VERSION', "PG_VERSION"),
            ("postgres", "echo 'postgres (PostgreSQL) 15.18'", "programs of PostgreSQL 18"),
        ],
        ids=["killed", "disk full", "a damaged copy", "older programs"],
    )
    def test_a_copy_that_fails_is_removed_with_its_slot_and_role(
        self, pair: Pair, tmp_path: Path, program: str, script: str, message: str
    ) -> None:
        """Whatever had been copied by then."""
        folder = pair.directory.parent
        for path in PROGRAMS.folder.iterdir():
            (tmp_path / path.name).symlink_to(path)
        (tmp_path / program).unlink()
        words = script.format(data=folder / "new.partial", real=PROGRAMS.path(program))
        (tmp_path / program).write_text(f"#!/bin/sh\n{words}\n")
        (tmp_path / program).chmod(0o755)
        with self.untouched(pair.primary, folder):
            result = called(
                *("create", "--into", str(folder / "new"), "--name", "new", "--user", "fresh"),
                *("--host", HOST, "--port", str(free_port())),
                url=pair.primary.url,
                TEMPLATE_SERVICE_POSTGRES_PROGRAMS=str(tmp_path),
            )
        assert result.exit_code == 1
        assert message in result.output

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            (
                {"wal_level": "minimal", "max_wal_senders": "0"},
                "wal_level of the primary",
            ),
            ({"max_wal_senders": "1"}, "0 of max_wal_senders = 1 are in use, and 2 more"),
            ({"max_replication_slots": "0"}, "max_replication_slots = 0"),
            ({}, "add this line to its pg_hba.conf"),
        ],
        ids=["too little WAL", "no sender", "no slot", "not let in"],
    )
    def test_a_primary_without_capacity_is_reported_with_a_remedy(
        self, bare: Path, tmp_path: Path, settings: dict[str, str], message: str
    ) -> None:
        """The answer is the setting, or the line, to change."""
        with PrivateCluster(PROGRAMS, bare, settings=settings) as cluster:
            result = called(
                *("create", "--into", str(tmp_path / "new"), "--port", str(free_port())),
                url=cluster.url(),
            )
            assert run(cluster.url(), "SELECT slot_name FROM pg_replication_slots") == []
            roles = run(cluster.url(), "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_'")
        assert result.exit_code == 1
        assert message in result.output
        assert roles == [("scratch",)]
        assert list(tmp_path.iterdir()) == []

    def test_a_failed_start_keeps_the_standby(self, pair: Pair, folder: Path) -> None:
        """A copy that took hours is not thrown away for a wrong setting."""
        data = folder / "broken"
        made = called(
            *("create", "--into", str(data), "--name", "broken", "--user", "fresh"),
            *("--host", HOST, "--port", str(free_port())),
            url=pair.primary.url,
        )
        try:
            assert made.exit_code == 0, made.output
            with (data / "postgresql.auto.conf").open("a") as file:
                file.write("max_connections = 'few'\n")
            result = called("start", str(data), url=pair.primary.url)
            assert result.exit_code == 1
            assert 'invalid value for parameter "max_connections"' in result.output
            assert f"replica start {data}" in result.output
            assert (data / "standby.signal").exists()
        finally:
            called("drop", "broken", "--yes", url=pair.primary.url)
            pair.run("DROP ROLE fresh")
            shutil.rmtree(data)
            for end in ("log", "passfile"):
                data.with_name(f"broken.{end}").unlink()

    def test_the_slot_of_a_connected_standby_is_not_dropped(self, pair: Pair) -> None:
        """It would have to be made anew."""
        assert wait_until(pair.caught_up, 20)
        result = called("drop", "standby1", "--yes", url=pair.primary.url)
        assert result.exit_code == 1
        assert "stop that standby first" in result.output
        assert (
            "does not exist on the primary"
            in called("drop", "nobody", "--yes", url=pair.primary.url).output
        )

    def test_a_url_with_a_password_is_refused_on_the_command_line(self, pair: Pair) -> None:
        """Everyone on the machine can read that."""
        url = pair.primary.url
        result = called("promote", f"postgresql://u:{SECRET}@{HOST}:1/x", "--yes", url=url)
        assert result.exit_code == 1
        assert "HOST:PORT" in result.output
        assert SECRET not in result.output


class TestEngine:
    """The worker's engine finds the server that takes writes."""

    def test_the_engine_connects_to_the_primary_of_several_hosts(self, pair: Pair) -> None:
        """Though the standby is named first."""
        engine = make_engine(Database(url=pair.both))
        with engine.begin() as connection:
            assert connection.scalar(text("SELECT pg_is_in_recovery()")) is False
        engine.dispose()

    def test_connections_to_a_standby_are_dropped_at_the_first_write(self, pair: Pair) -> None:
        """All of the pool: the next ones may find the primary. The write is tried again."""
        engine = make_engine(Database(url=pair.standby_url))
        pid = text("SELECT pg_backend_pid()")
        with engine.connect() as one, engine.connect() as two:
            first = {one.scalar(pid), two.scalar(pid)}
        with pytest.raises(DBAPIError) as refused, engine.begin() as connection:
            connection.execute(text("DELETE FROM items"))
        assert is_transient(refused.value)
        with engine.connect() as one, engine.connect() as two:
            assert not first & {one.scalar(pid), two.scalar(pid)}
        engine.dispose()

    def test_a_worker_does_not_start_on_a_standby(self, pair: Pair, tmp_path: Path) -> None:
        """It says how to name both servers."""
        with LocalValkey(tmp_path / "valkey", die_with_parent=True) as valkey:
            settings = Settings(
                database_url=SecretStr(pair.standby_url),
                broker_url=SecretStr(valkey.url),
                result_backend=SecretStr(valkey.url),
            )
            with pytest.raises(StartError, match="DATABASE_URL: this PostgreSQL is a standby"):
                check(settings, seconds=0.1)
