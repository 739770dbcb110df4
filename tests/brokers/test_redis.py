"""The service on Debian's Redis 7.0 instead of Valkey, for messages and for answers."""

from collections.abc import Iterator

import pytest
import redis

from tests.brokers.conftest import wait_for
from tests.brokers.load import grows, load
from tests.brokers.servers import DebianRedis
from tests.factories import templates
from tests.support.envelopes import dead_letters
from tests.support.producer import Producer, RefusedError
from tests.support.stacks import small_stack
from worker.local import LocalStack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """Give a stack with one worker, whose Valkey is Redis."""
    stack = small_stack(tmp_path_factory.mktemp("redis"), durable=True)
    stack.valkey = DebianRedis(
        stack.directory / "redis", log=stack.logs / "redis.log", die_with_parent=True
    )
    with stack:
        yield stack


@pytest.fixture(scope="module")
def redis_producer(stack: LocalStack) -> Iterator[Producer]:
    """Give a producer on that stack's broker."""
    with Producer.of(stack) as producer:
        yield producer


def test_the_server_is_redis(stack: LocalStack) -> None:
    """The server that answers is what the package has."""
    with redis.Redis.from_url(stack.valkey.url) as client:
        server = client.info("server")
    assert server["redis_version"].startswith("7.")
    assert "valkey_version" not in server


def test_the_main_job_works_on_redis(redis_producer: Producer) -> None:
    """A message of each queue is answered."""
    template = templates.published(redis_producer, "Dear {{ name }}", type="sms")
    one = {"template_id": template}
    rendered = redis_producer.call("render.one", one | {"variables": {"name": "Ada"}})
    assert rendered["body"] == "Dear Ada"
    items = [{"key": name, "variables": {"name": name}} for name in ("Ada", "Grace")]
    batch = redis_producer.call("render.batch", one | {"items": items}, queue="render-bulk")
    assert [item["body"] for item in batch["items"]] == ["Dear Ada", "Dear Grace"]
    report = redis_producer.call("maintenance.report")
    assert set(report["queues"]) == {
        *("templates", "render", "render-bulk", "maintenance", "monitoring", "dead-letters")
    }
    with pytest.raises(RefusedError) as refused:
        redis_producer.call("render.one", {"template_id": "no-such"})
    assert refused.value.code == "template_not_found"


def test_delayed_messages_and_dead_letters_work_on_redis(
    stack: LocalStack, redis_producer: Producer
) -> None:
    """What waits is answered in its time, and what no task takes is kept."""
    late = redis_producer.send("render.one", {"template_id": "no-such"}, countdown=1)
    unknown = redis_producer.send("no.such.task", queue="render")
    assert redis_producer.stored(unknown)["result"]["exc_message"][0] == "invalid_message"
    assert redis_producer.stored(late)["result"]["exc_message"][0] == "template_not_found"
    (letter,) = dead_letters(stack.addresses()["CELERY_BROKER_URL"])
    assert letter["headers"]["id"] == unknown
    assert letter["reason"].startswith("unknown_task")


def test_nothing_is_lost_when_a_worker_is_killed_under_load_on_redis(
    stack: LocalStack, redis_producer: Producer
) -> None:
    """What it held is delivered to the next one, within seconds, and done once."""
    worker = stack.processes["worker"]
    with load(redis_producer) as sent:
        for _ in range(3):
            assert grows(sent.reads)
            worker.kill()
            worker.start()
            wait_for(worker)
