"""The service on Debian's Redis over TLS: ``rediss://`` for messages and for answers."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
import redis

from db.cluster.processes import Process, write_private
from tests.brokers.conftest import wait_for
from tests.brokers.load import grows, load
from tests.brokers.servers import DebianRedis
from tests.factories import templates
from tests.support.certificates import Authority
from tests.support.producer import Producer, RefusedError
from tests.support.stacks import small_stack
from worker.local import LocalStack
from worker.preflight import StartError, check
from worker.settings import Settings

NAME = "localhost"
"""What the certificate is for; an address would be another kind of name."""


class TlsRedis(DebianRedis):
    """A Redis without a plain port, whose certificate is signed by an authority of the test."""

    def __init__(self, directory: Path, authority: Authority, log: Path) -> None:
        super().__init__(directory, log=log, die_with_parent=True)
        self.authority = authority

    def url_of(self, database: int) -> str:
        """Return the address of a database, for whoever trusts the authority."""
        return self.url_trusting(self.authority.root, database)

    def url_trusting(self, root: Path, database: int = 0) -> str:
        """Return the address of a database, for whoever trusts an authority."""
        query = urlencode({"ssl_cert_reqs": "required", "ssl_ca_certs": root})
        return f"rediss://:{self.password}@{NAME}:{self.port}/{database}?{query}"

    def _build(self, port: int) -> Process:
        process = super()._build(port)
        certificate, key = self.authority.sign(NAME, self.directory)
        configuration = self.directory / "valkey.conf"
        lines = [
            "port 0",
            f"tls-port {port}",
            f"tls-cert-file {certificate}",
            f"tls-key-file {key}",
            f"tls-ca-cert-file {self.authority.root}",
            "tls-auth-clients no",
        ]
        plain = configuration.read_text("utf-8")
        write_private(configuration, plain + "\n".join(lines) + "\n")
        return process


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> TlsRedis:
    """Give a Redis that is not started."""
    folder = tmp_path_factory.mktemp("tls")
    return TlsRedis(folder / "redis", Authority(folder / "authority"), folder / "redis.log")


@pytest.fixture(scope="module")
def stack(server: TlsRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """Give a stack with one worker, whose Valkey is that Redis."""
    stack = small_stack(tmp_path_factory.mktemp("stack"), durable=True)
    stack.valkey = server
    with stack:
        yield stack


@pytest.fixture(scope="module")
def tls_producer(stack: LocalStack) -> Iterator[Producer]:
    """Give a producer on that stack's broker."""
    with Producer.of(stack) as producer:
        yield producer


def test_every_connection_is_encrypted(server: TlsRedis, tls_producer: Producer) -> None:
    """Nothing else listens, and the main job is done."""
    template = templates.published(tls_producer, "Dear {{ name }}", type="sms")
    one = {"template_id": template, "variables": {"name": "Ada"}}
    assert tls_producer.call("render.one", one)["body"] == "Dear Ada"
    delayed = tls_producer.send("render.one", {"template_id": "no-such"}, countdown=1)
    assert tls_producer.stored(delayed)["status"] == "FAILURE"
    with pytest.raises(RefusedError) as refused:
        tls_producer.call("no.such.task", queue="render")
    assert refused.value.code == "invalid_message"
    plain = redis.Redis(host=NAME, port=server.port, password=server.password)
    with plain, pytest.raises(redis.ConnectionError):
        plain.ping()


def test_nothing_is_lost_when_a_worker_is_killed_under_load_over_tls(
    stack: LocalStack, tls_producer: Producer
) -> None:
    """What it held is delivered to the next one, and done once."""
    worker = stack.processes["worker"]
    with load(tls_producer) as sent:
        for _ in range(2):
            assert grows(sent.reads)
            worker.kill()
            worker.start()
            wait_for(worker)


def test_nothing_is_lost_when_the_broker_is_killed_under_load_over_tls(
    stack: LocalStack, server: TlsRedis, tls_producer: Producer
) -> None:
    """The same worker connects again, and goes on."""
    process = stack.processes["worker"].pid
    with load(tls_producer) as sent:
        assert grows(sent.reads)
        server.kill()
        server.start()
        assert grows(sent.reads)
    assert stack.processes["worker"].pid == process


@pytest.mark.usefixtures("tls_producer")
def test_a_worker_does_not_start_on_a_server_that_it_does_not_trust(
    stack: LocalStack, server: TlsRedis, tmp_path: Path
) -> None:
    """The setting is named, and why."""
    other = Authority(tmp_path / "other", "Another authority")
    addresses = stack.addresses()
    settings = Settings.model_validate(
        {
            "database_url": addresses["DATABASE_URL"],
            "broker_url": server.url_trusting(other.root),
            "result_backend": addresses["CELERY_RESULT_BACKEND"],
        }
    )
    with pytest.raises(StartError, match=r"CELERY_BROKER_URL: .*certificate verify failed"):
        check(settings, seconds=1)
