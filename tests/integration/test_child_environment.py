"""Child programs get the variables that they need, and none of this process' secrets."""

import ast
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import psycopg
import pytest

from db.backup.create import create
from db.backup.drill import drill
from db.backup.policy import BackupPolicy
from db.backup.restore.restore import restore
from db.cluster.private import PrivateCluster
from db.cluster.programs import Programs
from db.cluster.sandbox import sandbox_programs
from db.cluster.unprivileged import user_for
from db.commands import physical
from db.commands.core import Client
from db.errors import OperationError
from tests.support.dumps import wrapped
from tests.support.sample_databases import SampleDatabase, sample_database
from worker.local import LocalStack

SECRET: Final = "not-for-children"  # noqa: S105 - of this test
SECRETS: Final = {
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "CELERY_BROKER_URL": f"redis://:{SECRET}@127.0.0.1/0",
    "DATABASE_URL": f"postgresql://x:{SECRET}@127.0.0.1/x",
    "PGPASSWORD": SECRET,
    "PGHOST": SECRET,
    "TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL": f"postgresql://x:{SECRET}@127.0.0.1/x",
    "WHATEVER_ELSE": SECRET,
}
ALLOWED: Final = {
    "HOME",
    "KRB5CCNAME",
    "KRB5_CONFIG",
    "LC_ALL",
    "PATH",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TZ",
}
PROGRAMS: Final = """
initdb pg_amcheck pg_basebackup pg_combinebackup pg_controldata pg_ctl pg_dump
pg_restore pg_verifybackup pg_waldump postgres psql vacuumdb
"""
CHECKOUT: Final = Path(__file__).resolve().parents[2]
# The service itself, started by its own supervisor, and a process with still fewer variables.
STARTERS: Final = {
    "db/cluster/children.py",
    "tasks/rendering/child.py",
    "worker/local/supervisor.py",
}


@pytest.fixture(scope="module")
def source(servers: LocalStack) -> Iterator[SampleDatabase]:
    """Give a database to back up."""
    with sample_database(servers) as made:
        yield made


@pytest.fixture
def reachable(tmp_path: Path) -> Iterator[Path]:
    """Give PostgreSQL's programs where the user of a sandbox reaches them."""
    with sandbox_programs(Programs.chosen().folder, user_for(tmp_path)) as programs:
        yield programs


@pytest.fixture
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def variables(environ: bytes) -> dict[str, str]:
    """Return the variables of ``/proc/PID/environ``."""
    pairs = (item.partition("=") for item in environ.decode().split("\0") if item)
    return {name: value for name, _, value in pairs}


def check(program: str, found: dict[str, str]) -> None:
    """Check the whole environment of a program."""
    # A shell sets PWD, in the scripts that stand before the programs.
    names = {name for name in found if not name.startswith("PG")} - {"PWD"}
    assert names <= ALLOWED, program
    assert not any(SECRET in value for value in found.values()), program


@pytest.mark.usefixtures("_secrets")
def test_each_program_of_postgresql_gets_what_it_needs(
    servers: LocalStack, source: SampleDatabase, tmp_path: Path, reachable: Path
) -> None:
    """Every program that this service starts, as the kernel reports its environment."""
    seen = tmp_path / "seen"
    seen.mkdir()
    seen.chmod(0o777)
    base = Path(tempfile.gettempdir())
    # Each test process of pytest-xdist has a directory more, and all are its user's alone.
    for path in (tmp_path, *tmp_path.parents):
        if path.is_relative_to(base) and path != base:
            path.chmod(0o755)
    names = PROGRAMS.split()
    script = 'cat /proc/$$/environ > "{seen}/{name}.$$"\nexec "$REAL" "$@"'
    programs = wrapped(
        tmp_path / "bin",
        reachable,
        **{name: script.format(seen=seen, name=name) for name in names},
    )
    policy = BackupPolicy(target=str(tmp_path / "backups"))
    client = Client(programs, source.url)
    create(client, policy)
    plain = create(client, policy, form="plain")
    for name in (None, plain.name):
        source.at("postgres").run(
            f"DROP DATABASE {restore(client, policy, name=name, with_roles=True).database}".encode()
        )
    client.run("vacuumdb", ["--analyze-only", "--quiet"])
    drill(programs, policy, render=lambda _: [])
    full = tmp_path / "full"
    physical.base_backup(Client(programs, servers.postgres.url), full, label="x")
    physical.verify(programs, full)
    physical.control_data(programs, full)
    physical.combine(programs, [full], tmp_path / "combined")
    segments = sorted(path.name for path in (full / "pg_wal").iterdir() if path.is_file())
    list(
        physical.wal_records(programs, full / "pg_wal", segments[0], segments[0], managers=["XLOG"])
    )
    programs.run("pg_ctl", ["status", f"--pgdata={full}"])
    found = {path.name.partition(".")[0] for path in seen.iterdir()}
    assert found == set(names)
    for path in seen.iterdir():
        check(path.name, variables(path.read_bytes()))


@pytest.mark.usefixtures("_secrets")
def test_servers_get_what_they_need(tmp_path: Path) -> None:
    """A new PostgreSQL and a new Valkey of a checkout."""
    stack = LocalStack(tmp_path / "stack", workers=0, beat=False, flower=False)
    with ExitStack() as running:
        for server in (stack.postgres, stack.valkey):
            running.enter_context(server)
            check(server.name, variables(Path(f"/proc/{server.pid}/environ").read_bytes()))


def test_one_function_starts_programs() -> None:
    """A second one would have an environment of its own."""
    found = set()
    for folder in ("db", "tasks", "worker"):
        for path in (CHECKOUT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and node.attr in {
                    "Popen",
                    "call",
                    "check_call",
                    "check_output",
                    "popen",
                    "posix_spawn",
                    "run",
                    "system",
                }:
                    module = node.value.id if isinstance(node.value, ast.Name) else ""
                    if module in {"os", "subprocess"} and not _is_type(path, node):
                        found.add(str(path.relative_to(CHECKOUT)))
    assert found == STARTERS


def _is_type(path: Path, node: ast.Attribute) -> bool:
    line = path.read_text().splitlines()[node.lineno - 1]
    return "Popen[bytes]" in line


READER: Final = """
CREATE FUNCTION searched(anything text) RETURNS boolean LANGUAGE plpgsql AS $body$
DECLARE
    process text;
    content text;
    checked integer := 0;
BEGIN
    FOR process IN SELECT pg_ls_dir('/proc') LOOP
        CONTINUE WHEN process !~ '^[0-9]+$';
        BEGIN
            content := encode(pg_read_binary_file('/proc/' || process || '/environ'), 'escape');
        EXCEPTION WHEN OTHERS THEN
            CONTINUE;
        END;
        checked := checked + 1;
        IF content LIKE '%%{secret}%%' THEN
            RAISE EXCEPTION 'a secret was found';
        END IF;
    END LOOP;
    IF checked = 0 THEN
        RAISE EXCEPTION 'no process was seen';
    END IF;
    BEGIN
        content := pg_read_file('{file}');
    EXCEPTION WHEN OTHERS THEN
        RETURN true;
    END;
    RAISE EXCEPTION 'a file of another user was read';
END
$body$;
ALTER TABLE templates ADD CONSTRAINT searched CHECK (searched(name)) NOT VALID;
"""


@pytest.mark.usefixtures("_secrets")
def test_code_in_a_dump_finds_no_secret_in_the_drill(servers: LocalStack, tmp_path: Path) -> None:
    """A CHECK constraint looks for them, in all processes and in a file of this user."""
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    (tmp_path / "scratch").mkdir()
    policy = BackupPolicy(target=str(tmp_path / "backups"), scratch=str(tmp_path / "scratch"))
    with sample_database(servers) as made:
        entry = create(made.client, policy)
        made.run(READER.format(secret=SECRET, file=secret).replace("%%", "%").encode())
        entry = create(made.client, policy)
        # Only the constraint is one too many, which the migrations do not have.
        drill(Programs.chosen(), policy, name=entry.name, render=lambda _: [])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers as another user")
def test_the_server_of_a_drill_has_no_capability(tmp_path: Path, reachable: Path) -> None:
    """It reaches its data where its user may not pass, and nothing else there."""
    (tmp_path / "data").mkdir(0o700)
    os.chown(tmp_path / "data", 65534, 65534)
    tmp_path.chmod(0o700)
    (tmp_path / "secret").write_text(SECRET)
    cluster = PrivateCluster(Programs(reachable), tmp_path / "data" / "data", is_sandbox=True)
    cluster.initialise()
    with cluster, psycopg.connect(cluster.url(), autocommit=True) as connection:
        ((status,),) = connection.execute("SELECT pg_read_file('/proc/self/status')")
        assert "CapEff:\t0000000000000000" in status
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT pg_read_file(%s)", [str(tmp_path / "secret")])


def test_a_password_is_in_no_file(source: SampleDatabase, tmp_path: Path) -> None:
    """The passfile of a program is in memory, and gone with the last process that has it open."""
    seen = tmp_path / "seen"
    programs = wrapped(
        tmp_path / "bin", psql=f'readlink "$PGPASSFILE" > "{seen}"\nexec "$REAL" "$@"'
    )
    Client(programs, source.url).run("psql", ["-X", "-c", "SELECT 1"])
    assert seen.read_text().startswith("/memfd:")
    refused = Client(programs, source.url.replace("@", "x@"))
    with pytest.raises(OperationError, match="password"):
        refused.run("psql", ["-X", "-c", "SELECT 1"])
