"""Workers behind PgBouncer in transaction mode, with fewer server connections than processes."""

import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from db.cluster.processes import Process, wait_until, write_private
from tests.factories import templates
from tests.postgres15.conftest import DATABASE, OPTIONS, Server
from tests.support.producer import Producer
from tests.support.stacks import QUICK
from worker.directories import code_directory
from worker.local.server import HOST, free_port
from worker.local.valkey import LocalValkey

CONFIGURATION: Final = """\
[databases]
{database} = host=localhost port={server_port}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = 2
server_tls_sslmode = verify-full
server_tls_ca_file = {root}
user = {user}
"""
TIMEOUT: Final = 60.0


class PgBouncer:
    """A pooler of two connections to the server, for the application role."""

    def __init__(self, server: Server, folder: Path, address: str) -> None:
        self.port = free_port()
        role = urlsplit(address)
        self.url = urlunsplit(
            role._replace(
                netloc=f"{role.username}:{role.password}@{HOST}:{self.port}",
                query="sslmode=disable",
            )
        )
        write_private(folder / "users", f'"{role.username}" "{role.password}"\n')
        write_private(
            folder / "pgbouncer.ini",
            CONFIGURATION.format(
                database=DATABASE,
                server_port=server.port,
                host=HOST,
                port=self.port,
                users=folder / "users",
                root=server.root,
                user="nobody",
            ),
        )
        for file in (folder / "users", folder / "pgbouncer.ini"):
            if os.getuid() == 0:
                shutil.chown(file, "nobody")
        self.process = Process(
            "pgbouncer",
            ["/usr/sbin/pgbouncer", str(folder / "pgbouncer.ini")],
            log=folder / "log",
            record=folder / "process",
            death_signal=signal.SIGTERM,
        )

    def start(self) -> None:
        """Start it, and wait until it gives connections."""
        self.process.start()
        assert wait_until(self.answers, TIMEOUT), self.process.tail()

    def answers(self) -> bool:
        """Tell whether the application role can connect through it."""
        try:
            with psycopg.connect(self.url, connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder that PgBouncer's own user can enter."""
    folder = tmp_path_factory.mktemp("pgbouncer")
    for each in (folder, *folder.parents[:2]):
        each.chmod(0o711)
    return folder


@pytest.fixture(scope="module")
def pooler(server: Server, roles: Mapping[str, str], folder: Path) -> Iterator[PgBouncer]:
    """Give a pooler."""
    pooler = PgBouncer(server, folder, roles["DATABASE_URL"])
    pooler.start()
    yield pooler
    pooler.process.stop()


@pytest.fixture(scope="module")
def pooled(
    server: Server,
    roles: Mapping[str, str],
    valkey: LocalValkey,
    pooler: PgBouncer,
    folder: Path,
) -> Iterator[Producer]:
    """Give a producer for a worker of four processes behind the pooler."""
    broker = {"CELERY_BROKER_URL": valkey.url_of(2), "CELERY_RESULT_BACKEND": valkey.url_of(3)}
    behind = {
        "DATABASE_URL": pooler.url,
        "TEMPLATE_SERVICE_DB_TRANSACTION_POOLER": "true",
        "TEMPLATE_SERVICE_DB_CONNECT_TIMEOUT": "2",
        "TEMPLATE_SERVICE_MAX_RETRIES": "60",
    }
    worker = Process(
        "worker",
        [sys.executable, "-m", "celery", "-A", "worker", "worker", "--concurrency=4", *OPTIONS],
        log=folder / "worker.log",
        record=folder / "worker.process",
        environment=os.environ | server.environment(**broker, **roles) | behind | QUICK,
        directory=code_directory(),
        death_signal=signal.SIGTERM,
    )
    with Producer(valkey.url_of(2), valkey.url_of(3)) as producer:
        worker.start()
        try:
            ready = wait_until(lambda: "ready." in worker.output() or not worker.running, TIMEOUT)
            assert ready, worker.tail()
            assert worker.running, worker.tail()
            yield producer
        finally:
            worker.stop()


def test_nothing_is_lost_and_nothing_doubled_behind_a_pooler_that_is_killed(
    pooled: Producer, pooler: PgBouncer
) -> None:
    """Each connection serves many processes; while there is none, messages are retried."""
    template = templates.created(pooled, type="sms")
    one = {"template_id": template}
    pooled.call("version.publish", one | {"body": "Hello {{ name }}"})
    sent: list[str] = []
    writes: list[str] = []

    def send(count: int) -> None:
        for number in range(count):
            body = {"body": f"Hello {{{{ name }}}} {len(sent)}"}
            if number % 10 == 0:
                writes.append(pooled.send("version.publish", one | body))
            sent.append(pooled.send("render.one", one | {"variables": {"name": "Ada"}}))

    send(100)
    assert pooled.answer(sent[-1], TIMEOUT)["body"].startswith("Hello Ada")
    send(100)
    pooler.process.kill()
    send(100)
    pooler.start()
    send(20)
    assert all(pooled.answer(each, TIMEOUT)["body"].startswith("Hello Ada") for each in sent)
    for each in writes:
        assert pooled.stored(each, TIMEOUT)["status"] == "SUCCESS"
    assert int(templates.versions(pooled, template)[0]["version"]) == len(writes) + 1


def test_times_are_in_utc_and_maintenance_connects_to_the_server_itself(pooled: Producer) -> None:
    """A dump needs a session of its own; a time has no other zone than without a pooler."""
    template = templates.created(pooled, type="sms")
    found = pooled.call("template.get", {"template_id": template})["template"]
    assert found["created_at"].endswith(("Z", "+00:00"))
    assert not pooled.call("maintenance.backup", {}, queue="maintenance")["skipped"]
