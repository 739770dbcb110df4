"""Redis as Debian has it, behind a sentinel: the service finds the primary, also the next one."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from db.cluster.processes import Process, wait_until, write_private
from tests.brokers.conftest import wait_for
from tests.brokers.servers import REDIS, DebianRedis, program
from tests.factories import templates
from tests.support.producer import Producer
from tests.support.stacks import QUICK
from worker.directories import code_directory
from worker.local import LocalStack
from worker.local.server import HOST, free_port
from worker.transport import register

NAME = "watched"
DOWN_SECONDS = 2


class Watched:
    """A primary, its replica, and the sentinel that watches them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.servers = [DebianRedis(directory / name) for name in ("one", "two")]
        self.port = free_port()
        self.sentinel: Process | None = None

    def start(self) -> None:
        """Start all, and wait until the sentinel knows the replica."""
        one, two = self.servers
        for server in self.servers:
            server.start()
        with redis.Redis.from_url(two.url) as client:
            client.config_set("masterauth", one.password)
            # Both have one password, as after a failover each may be the primary of the other.
            client.config_set("requirepass", one.password)
        with redis.Redis(host=HOST, port=two.port, password=one.password) as client:
            client.replicaof(HOST, one.port)
        with redis.Redis.from_url(one.url) as client:
            client.config_set("masterauth", one.password)
        file = self.directory / "sentinel.conf"
        lines = [
            f"bind {HOST}",
            f"port {self.port}",
            f"dir {self.directory}",
            f"sentinel monitor {NAME} {HOST} {one.port} 1",
            f"sentinel auth-pass {NAME} {one.password}",
            f"sentinel down-after-milliseconds {NAME} {DOWN_SECONDS * 1000}",
            f"sentinel failover-timeout {NAME} 5000",
        ]
        write_private(file, "\n".join(lines) + "\n")
        self.sentinel = Process(
            "sentinel",
            [program(REDIS), str(file), "--sentinel"],
            log=self.directory / "sentinel.log",
            record=self.directory / "sentinel.process",
        )
        self.sentinel.start()
        assert wait_until(self._knows_the_replica, 30)

    def stop(self) -> None:
        """Stop all."""
        if self.sentinel is not None:
            self.sentinel.stop()
        for server in self.servers:
            server.stop()

    def url_of(self, database: int) -> str:
        """Return the address of a database of the primary, by the sentinel."""
        return f"sentinel://:{self.servers[0].password}@{HOST}:{self.port}/{database}"

    def primary(self) -> int:
        """Return the port of the primary."""
        with redis.Redis(host=HOST, port=self.port) as sentinel:
            address = sentinel.sentinel_get_master_addr_by_name(NAME)
        return int(address[1]) if address else 0

    def _knows_the_replica(self) -> bool:
        try:
            with redis.Redis(host=HOST, port=self.port) as sentinel:
                return any("slave" in each["flags"] for each in sentinel.sentinel_slaves(NAME))
        except redis.RedisError:
            return False


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """Give a primary with a replica and a sentinel."""
    servers = Watched(tmp_path)
    try:
        servers.start()
        yield servers
    finally:
        servers.stop()


def test_a_worker_follows_a_failover(watched: Watched, servers: LocalStack, tmp_path: Path) -> None:
    """The primary dies; what the replica had got is answered, and so is what comes after."""
    register()
    one, two = watched.servers
    environment = {
        **servers.environment(),
        **QUICK,
        "CELERY_BROKER_URL": watched.url_of(0),
        "CELERY_RESULT_BACKEND": watched.url_of(1),
        "TEMPLATE_SERVICE_SENTINEL_MASTER": NAME,
    }
    worker = Process(
        "worker",
        [sys.executable, "-m", "celery", "-A", "worker", "worker", "-c", "2", "--loglevel=INFO"],
        log=tmp_path / "worker.log",
        record=tmp_path / "worker.process",
        environment=environment,
        directory=code_directory(),
    )
    worker.start()
    try:
        wait_for(worker)
        with Producer(one.url, one.url_of(1)) as producer:
            template = templates.published(producer, "Hello", type="sms")
            assert producer.call("render.one", {"template_id": template})["body"] == "Hello"
        one.kill()
        assert wait_until(lambda: watched.primary() == two.port, 60)
        address = f"redis://:{one.password}@{HOST}:{two.port}"
        with Producer(f"{address}/0", f"{address}/1") as producer:
            sent = [producer.send("render.one", {"template_id": template}) for _ in range(20)]
            assert [producer.answer(each, timeout=60)["body"] for each in sent] == ["Hello"] * 20
        assert worker.running
    finally:
        worker.stop()
