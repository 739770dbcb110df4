"""The servers that `make up`, `make demo` and these tests themselves run on."""

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from db.cluster import unprivileged
from db.cluster.processes import Identity, wait_until
from db.cluster.programs import Programs
from db.errors import OperationError
from tests.support.stacks import without_fsync
from worker.local import LocalPostgres, LocalValkey, server

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to change the user")
SERVERS = (LocalPostgres, LocalValkey)
Local = LocalPostgres | LocalValkey

OWNER = """
import os, signal, sys
from pathlib import Path
from worker.local import LocalPostgres, LocalValkey

kind = {"LocalPostgres": LocalPostgres, "LocalValkey": LocalValkey}[sys.argv[1]]
server = kind(Path(sys.argv[2]), die_with_parent=sys.argv[3] == "yes")
server.start()
print(server.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(params=SERVERS, ids=lambda kind: kind.__name__)
def local(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Local]:
    """Give either server, not started, and stop it in the end."""
    server: Local = without_fsync(request.param(tmp_path / "server"))
    yield server
    server.stop()


@pytest.fixture(scope="module", params=SERVERS, ids=lambda kind: kind.__name__)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Local]:
    """Give either server as it runs, for tests that only look at it."""
    server: Local = without_fsync(request.param(tmp_path_factory.mktemp("running") / "server"))
    with server:
        yield server


@pytest.fixture
def database(tmp_path: Path) -> Iterator[LocalPostgres]:
    """Give a PostgreSQL, not started, and stop it in the end."""
    server = without_fsync(LocalPostgres(tmp_path / "server"))
    yield server
    server.stop()


def test_data_persist_across_restarts(local: Local) -> None:
    """What was written is there after stop and start, at the same address.

    Both may be called at any time: before the start, and twice.
    """
    local.stop()
    local.start()
    local.start()
    url = local.url
    _put(local)
    local.stop()
    local.stop()
    assert not local.running
    assert not local.answers()
    local.start()
    assert local.url == url
    assert _get(local)


def test_data_survive_a_crash_of_the_server(local: Local) -> None:
    """After SIGKILL the server starts again, with what it had acknowledged."""
    local.start()
    _put(local)
    local.kill()
    assert not local.running
    local.start()
    assert _get(local)


def test_a_port_in_use_is_replaced_by_another(local: Local) -> None:
    """When something else listens on the port of last time, another one is used."""
    local.start()
    port = local.port
    local.stop()
    with _listening(port):
        local.start()
        assert local.port != port
        assert local.answers()


def test_a_port_taken_between_check_and_bind_is_replaced(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a port is taken between choosing and binding it, another one is tried."""
    real = server.free_port
    with _listening() as taken:
        answers = iter([taken])
        monkeypatch.setattr(server, "free_port", lambda *_: next(answers, None) or real())
        local.start()
        assert local.port != taken
        assert local.answers()


def test_a_directory_has_one_owner_at_a_time(running: Local) -> None:
    """A second object on the same folder is refused, and the first goes on undisturbed."""
    with pytest.raises(OperationError, match="in use by another process"):
        type(running)(running.directory).start()
    assert running.answers()


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_dies_with_its_parent(kind: type[Local], tmp_path: Path) -> None:
    """With die_with_parent nothing stays behind when the parent is killed."""
    pid = _start_and_be_killed(kind, tmp_path / "server", die_with_parent=True)
    assert wait_until(lambda: Identity.of(pid) is None, 20)


def test_an_orphaned_server_is_stopped_by_the_next_start(local: Local) -> None:
    """A server whose owner was killed is stopped by the next start on its folder."""
    pid = _start_and_be_killed(type(local), local.directory, die_with_parent=False)
    orphan = Identity.of(pid)
    assert orphan is not None
    assert local.found_pid() == pid
    local.start()
    assert not orphan.alive()
    assert local.answers()


def test_an_unrelated_process_with_the_recorded_pid_is_left_alone(local: Local) -> None:
    """A record from before a reboot may name a number that is someone else's by now."""
    local.directory.mkdir()
    with subprocess.Popen(["sleep", "60"]) as other:
        Identity(other.pid, 0.0).write(local.directory / "process")
        assert local.found_pid() is None
        assert not local.stop_orphan()
        local.start()
        assert other.poll() is None
        other.kill()


def test_a_stale_lock_file_does_not_prevent_the_start(database: LocalPostgres) -> None:
    """postmaster.pid of a killed run may name a process that exists, but is no PostgreSQL."""
    database.start()
    _put(database)
    lock = database.data / "postmaster.pid"
    kept = lock.read_text()
    owner = lock.stat()
    database.kill()
    uid = os.geteuid() if owner.st_uid == os.geteuid() else owner.st_uid
    with subprocess.Popen(["sleep", "60"], user=uid) as other:
        lock.write_text(kept.replace(kept.split("\n", 1)[0], str(other.pid), 1))
        os.chown(lock, owner.st_uid, owner.st_gid)
        database.start()
        assert other.poll() is None
        other.kill()
    assert _get(database)


def test_an_interrupted_initdb_is_repeated(database: LocalPostgres) -> None:
    """Half a data directory is thrown away, not used."""
    draft = database.directory / "data.new"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18\n")
    database.start()
    assert database.answers()
    assert not draft.exists()


def test_a_failed_start_shows_the_servers_log(database: LocalPostgres) -> None:
    """Data of another version are refused in PostgreSQL's words, and left as they are."""
    database.start()
    database.stop()
    (database.data / "PG_VERSION").write_text("17\n")
    with pytest.raises(OperationError, match="incompatible with server"):
        database.start()
    assert not database.running
    assert (database.data / "PG_VERSION").read_text() == "17\n"


def test_a_server_that_does_not_answer_in_time_is_stopped(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start gives up after its time, says so, and leaves nothing running."""
    monkeypatch.setattr(server, "START_TIMEOUT", 0.1)
    monkeypatch.setattr(type(local), "_ready", lambda *_: False)
    with pytest.raises(OperationError, match=r"did not answer within 0\.1 s"):
        local.start()
    assert local.found_pid() is None


def test_the_environment_of_the_caller_does_not_matter(
    database: LocalPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A locale that does not exist, and variables meant for another server, change nothing."""
    for name, value in {
        "LANG": "xx_YY",
        "LC_ALL": "xx_YY",
        "PGDATA": "/nonexistent",
        "PGHOST": "/nonexistent",
        "PGPORT": "1",
        "PGSSLMODE": "require",
        "PATH": "/nonexistent",
    }.items():
        monkeypatch.setenv(name, value)
    database.start()
    assert database.answers()


def test_postgresql_is_set_up_as_documented(database: LocalPostgres) -> None:
    """Version, encoding, checksums, address and preloaded library are those that were asked for."""
    wanted = {
        "server_encoding": "UTF8",
        "data_checksums": "on",
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "shared_preload_libraries": "pg_stat_statements",
        "password_encryption": "scram-sha-256",
        "TimeZone": "UTC",
        "max_connections": "200",
    }
    with database, psycopg.connect(database.url) as connection:
        assert connection.info.server_version // 10_000 == 18
        settings = {name: _value(connection, f"SHOW {name}") for name in wanted}
        assert settings == wanted
        rules = connection.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules")
        assert rules.fetchall() == [("scram-sha-256",)]
        assert _value(connection, "SELECT upper('é')") == "É"


def test_valkey_is_set_up_as_documented(tmp_path: Path) -> None:
    """The append-only file is on, and nothing is ever evicted."""
    wanted = {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": "",
        "bind": "127.0.0.1",
        "protected-mode": "yes",
    }
    with (
        LocalValkey(tmp_path / "server") as local,
        redis.Redis.from_url(local.url, decode_responses=True) as client,
    ):
        assert {name: client.config_get(name)[name] for name in wanted} == wanted
    # Without a user, redis-cli 7 sends an empty name and is refused with WRONGPASS.
    assert urlsplit(local.url).username == "default"


def test_only_test_servers_run_without_fsync(tmp_path: Path) -> None:
    """PostgreSQL uses fsync by default, also on a data directory that was created without it."""
    for is_durable, fsync in ((False, "off"), (True, "on")):
        default = LocalPostgres(tmp_path / "server")
        with (
            default if is_durable else without_fsync(default) as local,
            psycopg.connect(local.url) as connection,
        ):
            assert _value(connection, "SHOW fsync") == fsync


def test_a_wrong_password_is_refused(running: Local) -> None:
    """Neither server lets anyone in who merely reaches its port."""
    local = running
    wrong = local.url.replace(local.password, "wrong")
    if isinstance(local, LocalPostgres):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)
        return
    with redis.Redis.from_url(wrong) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_the_password_stays_in_files_that_only_the_owner_reads(running: Local) -> None:
    """It is in no command line, in no log, and in no file that others may read."""
    local = running
    secret = local.password.encode()
    assert len(secret) >= 32
    assert not _command_lines_with(secret)
    assert secret not in local.log.read_bytes()
    for file in local.directory.rglob("*"):
        if file.is_file() and secret in file.read_bytes():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert not any("password.new" in file.name for file in local.directory.iterdir())
    assert stat.S_IMODE(local.directory.stat().st_mode) in {0o700, 0o711}


@ROOT_ONLY
def test_root_behind_a_closed_folder_changes_no_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a home with mode 0700 PostgreSQL runs as another user who may read, but not write."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    programs = _copy_of_programs(home)
    monkeypatch.setattr(Programs, "chosen", lambda: Programs(programs))
    directory = home / "server"
    outside = [programs, *programs.parents]
    before = [_permissions(path) for path in outside]
    with without_fsync(LocalPostgres(directory)) as local:
        assert local.answers()
        assert local.data == directory / "data"
        status = Path(f"/proc/{local.pid}/status").read_text()
        assert local.data.stat().st_uid != 0
        assert stat.S_IMODE(local.data.stat().st_mode) == 0o700
    assert [_permissions(path) for path in outside] == before
    assert _field(status, "Uid").split() == [str(local.data.stat().st_uid)] * 4
    assert not _field(status, "Groups").split()
    allowed = {1 << unprivileged.CAP_DAC_READ_SEARCH, 1 << unprivileged.CAP_DAC_OVERRIDE}
    assert int(_field(status, "CapEff"), 16) in allowed


@ROOT_ONLY
def test_root_in_an_open_folder_keeps_no_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that reaches its files as an ordinary user gets no more rights than one."""
    with _open_folder() as folder:
        programs = _copy_of_programs(folder)
        monkeypatch.setattr(Programs, "chosen", lambda: Programs(programs))
        with without_fsync(LocalPostgres(folder / "server")) as local:
            status = Path(f"/proc/{local.pid}/status").read_text()
            assert local.answers()
        assert int(_field(status, "CapEff"), 16) == 0


@ROOT_ONLY
def test_root_without_capabilities_moves_the_server_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no capability helps, programs and data go to the folder for temporary files."""
    monkeypatch.setattr(unprivileged, "_works", lambda *_: False)
    with _open_folder() as folder:
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        local = without_fsync(LocalPostgres(tmp_path / "server"))
        with local:
            assert local.data.is_relative_to(folder)
            _put(local)
        with local:
            assert _get(local)
        # A system may empty that folder; the next start begins with an empty database.
        shutil.rmtree(local.data.parent)
        with local:
            assert local.answers()
            assert not _get(local)


@ROOT_ONLY
def test_root_without_a_reachable_directory_gets_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When not even the folder for temporary files is open, one sentence says so."""
    monkeypatch.setattr(unprivileged, "_works", lambda *_: False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tmp_path.chmod(0o700)
    with pytest.raises(OperationError, match="run this as an ordinary user"):
        LocalPostgres(tmp_path / "server").start()


def test_a_missing_wheel_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the programs the message says what to install."""
    for kind, module in (
        (LocalPostgres, "db.cluster.programs"),
        (LocalValkey, "worker.local.valkey"),
    ):
        monkeypatch.setattr(sys.modules[module], "find_spec", lambda _: None)
        with pytest.raises(OperationError, match="install this project's requirements"):
            kind(tmp_path / module).start()


def test_addresses_are_shown_without_their_password() -> None:
    """Only the password is replaced, and an address without one stays as it is."""
    assert (
        server.mask("postgresql://me:secret@127.0.0.1:1/x") == "postgresql://me:***@127.0.0.1:1/x"
    )
    assert server.mask("redis://:secret@127.0.0.1:1/0") == "redis://:***@127.0.0.1:1/0"
    assert server.mask("http://127.0.0.1:1/") == "http://127.0.0.1:1/"


def _put(local: Local) -> None:
    if isinstance(local, LocalPostgres):
        with psycopg.connect(local.url) as connection:
            connection.execute("CREATE TABLE kept ()")
        return
    with redis.Redis.from_url(local.url) as client:
        client.set("kept", "1")


def _get(local: Local) -> bool:
    if isinstance(local, LocalPostgres):
        with psycopg.connect(local.url) as connection:
            return _value(connection, "SELECT to_regclass('kept')::text") == "kept"
    with redis.Redis.from_url(local.url) as client:
        return bool(client.exists("kept"))


def _value(connection: psycopg.Connection, query: str) -> object:
    row = connection.execute(query.encode()).fetchone()
    return None if row is None else row[0]


def _start_and_be_killed(kind: type[Local], directory: Path, *, die_with_parent: bool) -> int:
    done = subprocess.run(
        [sys.executable, "-c", OWNER, kind.__name__, directory, "yes" if die_with_parent else "no"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return int(done.stdout)


class _listening:  # noqa: N801 - used as a function is
    """Occupy a port of 127.0.0.1, a given one or any."""

    def __init__(self, port: int | None = None) -> None:
        self._socket = socket.socket()
        self._port = port

    def __enter__(self) -> int:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", self._port or server.free_port()))
        self._socket.listen()
        port: int = self._socket.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._socket.close()


class _open_folder:  # noqa: N801 - used as a function is
    """Make a folder for temporary files that everyone may search, and remove it."""

    def __enter__(self) -> Path:
        self._path = Path(tempfile.mkdtemp(dir="/tmp"))
        self._path.chmod(0o755)
        return self._path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._path)


def _copy_of_programs(folder: Path) -> Path:
    package = Programs.chosen().folder.parent.parent
    for source in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("include"))
    return folder / package.name / "pginstall" / "bin"


def _permissions(path: Path) -> tuple[Path, int, int, int]:
    status = path.stat()
    return path, status.st_mode, status.st_uid, status.st_gid


def _field(status: str, name: str) -> str:
    match = re.search(rf"^{name}:(.*)$", status, re.MULTILINE)
    assert match is not None
    return match[1]


def _command_lines_with(secret: bytes) -> list[str]:
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if secret in file.read_bytes():
                lines.append(str(file))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return lines
