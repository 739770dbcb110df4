"""PostgreSQL 15 as Debian has it, with TLS and nothing else: what `make test-postgres15` runs on.

The programs are in the folder that TEMPLATE_SERVICE_POSTGRES_PROGRAMS names.
"""

import os
import secrets
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import psycopg
import pytest
from click.testing import CliRunner, Result

from db.cluster.private import PrivateCluster
from db.cluster.processes import Process, wait_until
from db.cluster.programs import Programs
from db.cluster.unprivileged import give
from db.errors import OperationError
from tests.support.certificates import Authority
from tests.support.producer import Producer
from tests.support.stacks import QUICK
from worker.cli import main
from worker.directories import code_directory
from worker.local.server import free_port
from worker.local.valkey import LocalValkey

VARIABLE: Final = "TEMPLATE_SERVICE_POSTGRES_PROGRAMS"
DATABASE: Final = "template_service"
OPTIONS: Final = (
    "--loglevel=INFO",
    "--without-mingle",
    "-Q",
    "templates,render,render-bulk,maintenance",
)
HBA: Final = """
local all all trust
hostssl all all 127.0.0.1/32 scram-sha-256
hostssl all all ::1/128 scram-sha-256
hostssl replication all 127.0.0.1/32 scram-sha-256
hostssl replication all ::1/128 scram-sha-256
"""


class Server:
    """A real server that takes connections over TLS only, with a database for the service.

    It listens on 127.0.0.1, and its certificate is for ``localhost``.

    Parameters
    ----------
    programs
        Of PostgreSQL 15.
    folder
        For all its files.
    authority
        Who signs its certificate.
    """

    def __init__(self, programs: Programs, folder: Path, authority: Authority) -> None:
        self.programs = programs
        self.root = authority.root
        self.port = free_port()
        self.password = secrets.token_hex(16)
        folder.chmod(0o711)
        self.folder = folder
        certificate, key = authority.sign("localhost", folder)
        data = folder / "data"
        self.cluster = PrivateCluster(
            programs,
            data,
            settings={
                "listen_addresses": "127.0.0.1",
                "port": str(self.port),
                "hba_file": str(data / "pg_hba.conf"),
            },
        )
        self.cluster.initialise()
        # In the data directory, so that a standby has the same.
        (data / "pg_hba.conf").write_text(HBA)
        with (data / "postgresql.conf").open("a") as conf:
            conf.write(f"ssl = on\nssl_cert_file = '{certificate}'\nssl_key_file = '{key}'\n")
            conf.write("fsync = off\njit = off\n")
        for path in (certificate, key):
            give(path, self.cluster.rights)

    def start(self) -> None:
        """Start it; make role and database the first time."""
        self.cluster.start()
        with psycopg.connect(self.cluster.url(), port=self.port, autocommit=True) as connection:
            if not connection.execute("SELECT FROM pg_roles WHERE rolname = 'service'").fetchall():
                connection.execute(
                    f"CREATE ROLE service SUPERUSER LOGIN PASSWORD '{self.password}'"
                )
                connection.execute(f"CREATE DATABASE {DATABASE} OWNER service")

    def restart(self) -> None:
        """Restart it, for settings that need it."""
        self.cluster.stop()
        self.start()

    def url(self, tls: str | None = None, *, host: str = "localhost") -> str:
        """Return its address for the role that owns the database.

        Parameters
        ----------
        tls
            libpq's options in the query; by default ``verify-full`` with the right authority.
        host
            By another name.
        """
        tls = f"sslmode=verify-full&sslrootcert={self.root}" if tls is None else tls
        return f"postgresql://service:{self.password}@{host}:{self.port}/{DATABASE}?{tls}"

    def environment(self, **others: str) -> dict[str, str]:
        """Return the variables of the service for this server."""
        return {
            "DATABASE_URL": self.url(),
            VARIABLE: str(self.programs.folder),
            "TEMPLATE_SERVICE_BACKUP_TARGET": str(self.folder / "backups"),
            "TEMPLATE_SERVICE_RECOVERY_DIRECTORY": str(self.folder / "recovery"),
            **others,
        }

    def call(self, *arguments: str, **environment: str) -> Result:
        """Run ``template-service``; return its output and exit status."""
        return CliRunner().invoke(main, arguments, env=self.environment(**environment))

    def works(self, *arguments: str, **environment: str) -> str:
        """Run ``template-service``, which must succeed; return its output."""
        done = self.call(*arguments, **environment)
        assert done.exit_code == 0, f"{done.output}{done.exception!r}"
        return done.output

    def run(self, statement: str) -> list[tuple[object, ...]]:
        """Run a statement as the owner; return its rows."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def migrate(self, *arguments: str, url: str | None = None) -> None:
        """Run alembic, on another database if its address is given."""
        subprocess.run(
            [sys.executable, "-m", "alembic", *arguments],
            check=True,
            cwd=code_directory(),
            env=os.environ | self.environment() | ({} if url is None else {"DATABASE_URL": url}),
            capture_output=True,
        )


@pytest.fixture(scope="session")
def programs() -> Programs:
    """Give PostgreSQL's programs; without them nothing here can be tested."""
    installed = Programs(Path(os.environ.get(VARIABLE) or "/missing"))
    try:
        right = installed.major("postgres") == 15
    except OperationError:
        right = False
    if not right:
        pytest.exit(
            f"{VARIABLE} has to name a folder with the programs of PostgreSQL 15: "
            "make test-postgres15 installs them and sets it",
            returncode=1,
        )
    return installed


@pytest.fixture(scope="session")
def server(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give PostgreSQL 15 with TLS, migrated."""
    folder = tmp_path_factory.mktemp("postgres15")
    server = Server(programs, folder, Authority(folder / "authority"))
    try:
        server.start()
        server.migrate("upgrade", "head")
        yield server
    finally:
        server.cluster.stop()


@pytest.fixture(scope="session")
def roles(server: Server) -> Mapping[str, str]:
    """Give the addresses of worker and maintenance as roles of their own."""
    folder = server.folder / "secrets"
    server.works("db", "roles", "apply", "--output", str(folder))
    exports = (folder / "env").read_text().splitlines()
    return dict(shlex.split(line)[1].split("=", 1) for line in exports)


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalValkey]:
    """Give a broker."""
    folder = tmp_path_factory.mktemp("valkey")
    with LocalValkey(folder / "valkey", die_with_parent=True) as valkey:
        yield valkey


@pytest.fixture(scope="session")
def producer(server: Server, roles: Mapping[str, str], valkey: LocalValkey) -> Iterator[Producer]:
    """Give a producer, whose messages a worker of its own role works on."""
    broker = {"CELERY_BROKER_URL": valkey.url, "CELERY_RESULT_BACKEND": valkey.url_of(1)}
    worker = Process(
        "worker",
        [sys.executable, "-m", "celery", "-A", "worker", "worker", "--concurrency=2", *OPTIONS],
        log=server.folder / "worker.log",
        record=server.folder / "worker.process",
        environment=os.environ | server.environment(**broker, **roles) | QUICK,
        directory=code_directory(),
        death_signal=signal.SIGTERM,
    )
    with Producer(valkey.url, valkey.url_of(1)) as producer:
        worker.start()
        try:
            ready = wait_until(lambda: "ready." in worker.output() or not worker.running, 60)
            assert ready, worker.tail()
            assert worker.running, worker.tail()
            yield producer
        finally:
            worker.stop()
