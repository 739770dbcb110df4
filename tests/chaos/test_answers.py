"""The result backend goes away: no answer is lost, and no work is done twice."""

from collections.abc import Callable, Iterator

import psutil
import pytest
import redis

from db.cluster.processes import wait_until
from tests.factories import templates
from tests.support.producer import Producer
from tests.support.stacks import FEW_TRIES, small_stack
from worker.local import LocalStack
from worker.local.valkey import LocalValkey


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalValkey]:
    """Give the server of the result backend."""
    with LocalValkey(tmp_path_factory.mktemp("results"), die_with_parent=True) as valkey:
        yield valkey


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, results: LocalValkey) -> Iterator[LocalStack]:
    """Give a stack whose worker stores its answers there."""
    environment = FEW_TRIES | {"CELERY_RESULT_BACKEND": results.url}
    with small_stack(tmp_path_factory.mktemp("stack"), environment=environment) as stack:
        yield stack


@pytest.fixture
def producer(stack: LocalStack, results: LocalValkey) -> Iterator[Producer]:
    """Give a producer that reads its answers there."""
    with Producer(stack.addresses()["CELERY_BROKER_URL"], results.url) as producer:
        yield producer


def leave(results: LocalValkey) -> Callable[[], None]:
    """Kill the server; return what starts it again."""
    results.kill()
    return results.start


def fall_silent(results: LocalValkey) -> Callable[[], None]:
    """Stop the process of the server; return what continues it."""
    process = psutil.Process(results.pid)
    process.suspend()

    def go_on() -> None:
        process.resume()

    return go_on


def fill(results: LocalValkey) -> Callable[[], None]:
    """Have the server refuse all writes; return what gives it memory again."""
    with redis.Redis.from_url(results.url) as client:
        client.config_set("maxmemory", 1)

    def make_room() -> None:
        with redis.Redis.from_url(results.url) as client:
            client.config_set("maxmemory", 0)

    return make_room


def fail_over(results: LocalValkey) -> Callable[[], None]:
    """Make a replica of the server, which refuses writes; return what makes it a primary."""
    with redis.Redis.from_url(results.url) as client:
        client.replicaof("127.0.0.1", 1)

    def promote() -> None:
        with redis.Redis.from_url(results.url) as client:
            client.replicaof("NO", "ONE")

    return promote


@pytest.mark.parametrize("fault", [leave, fall_silent, fill, fail_over])
def test_every_message_is_answered_once_when_the_result_backend_is_back(
    producer: Producer,
    stack: LocalStack,
    results: LocalValkey,
    fault: Callable[[LocalValkey], Callable[[], None]],
) -> None:
    """Writes, reads and refusals; none is acknowledged before its answer is stored."""
    template = templates.published(producer, "Hello", type="sms")
    log = stack.logs / "worker.log"
    before = log.read_text().count("cannot be stored yet")
    repair = fault(results)
    try:
        writes = [
            producer.send("version.publish", {"template_id": template, "body": f"Hello {number}"})
            for number in range(6)
        ]
        reads = [producer.send("render.one", {"template_id": template}) for _ in range(3)]
        refusals = [producer.send("template.get", {"template_id": "unknown"}) for _ in range(3)]
        assert wait_until(lambda: log.read_text().count("cannot be stored yet") >= before + 2, 60)
    finally:
        repair()
    assert sorted(int(producer.answer(each, 60)["version"]) for each in writes) == [*range(2, 8)]
    assert all(producer.answer(each, 60)["body"].startswith("Hello") for each in reads)
    stored = [producer.stored(each, 60) for each in refusals]
    assert [each["result"]["exc_type"] for each in stored] == ["TemplateNotFound"] * 3
    assert len(templates.versions(producer, template)) == 7
    with redis.Redis.from_url(stack.valkey.url) as broker:
        assert wait_until(lambda: broker.hlen("unacked") == 0, 20)
