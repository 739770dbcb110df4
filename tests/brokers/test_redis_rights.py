"""The worker on Debian's Redis with a narrow user and a prefix of all keys."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from db.cluster.processes import Process, wait_until
from tests.brokers.conftest import wait_for
from tests.brokers.servers import DebianRedis
from tests.support.producer import Producer
from tests.support.stacks import QUICK
from worker.directories import code_directory
from worker.local import LocalStack
from worker.local.server import HOST

NONE = {"template_id": "no-such"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianRedis]:
    """Give a Redis."""
    with DebianRedis(tmp_path_factory.mktemp("redis"), die_with_parent=True) as server:
        yield server


@contextmanager
def working(
    url: str, server: DebianRedis, servers: LocalStack, folder: Path, prefix: str
) -> Iterator[Process]:
    """Yield a worker whose broker has a prefix for all keys."""
    command = [sys.executable, "-m", "celery", "-A", "worker", "worker", "--concurrency=2"]
    worker = Process(
        "worker",
        [*command, "--loglevel=INFO", "--without-mingle", "-n", "redis@test"],
        log=folder / "worker.log",
        record=folder / "worker.process",
        environment={
            **servers.environment(),
            **QUICK,
            "CELERY_BROKER_URL": url,
            "CELERY_RESULT_BACKEND": server.url_of(1),
            "TEMPLATE_SERVICE_BROKER_KEY_PREFIX": prefix,
        },
        directory=code_directory(),
        death_signal=signal.SIGKILL,
    )
    worker.start()
    try:
        wait_for(worker)
        yield worker
    finally:
        worker.stop()


def test_the_service_works_with_minimal_permissions_and_a_key_prefix(
    server: DebianRedis, servers: LocalStack, tmp_path: Path
) -> None:
    """No command that tells of the server, no key of others; also after SCRIPT FLUSH."""
    prefix = {"global_keyprefix": "app:"}
    with redis.Redis.from_url(server.url) as admin:
        admin.execute_command(
            *("ACL", "SETUSER", "narrow", "on", f">{server.password}", "~app:*", "&*"),
            *("+@all", "-@dangerous", "-@admin", "-info", "-config", "-keys"),
        )
        admin.execute_command("ACL", "LOG", "RESET")
        url = f"redis://narrow:{server.password}@{HOST}:{server.port}/0"
        with (
            working(url, server, servers, tmp_path, prefix["global_keyprefix"]) as worker,
            Producer(server.url, server.url_of(1), prefix) as producer,
        ):
            for _ in range(3):
                assert producer.stored(producer.send("template.get", NONE))["status"] == "FAILURE"
                admin.script_flush()
            delayed = producer.send("template.get", NONE, countdown=1)
            assert producer.stored(delayed)["status"] == "FAILURE", worker.tail()
            assert wait_until(lambda: not list(admin.scan_iter("*unacked:held*")), 20)
        assert [key for key in admin.scan_iter("*") if not key.startswith(b"app:")] == []
        assert admin.execute_command("ACL", "LOG") == []
