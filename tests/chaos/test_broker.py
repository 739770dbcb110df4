"""The broker is killed and comes back: the worker goes on, and keeps what it had taken."""

import psutil
import psycopg
import redis

from db.cluster.processes import wait_until
from tests.factories import templates
from tests.support.held import held
from tests.support.producer import Producer
from worker.local import LocalStack


def test_a_worker_goes_on_when_its_broker_was_killed(producer: Producer, stack: LocalStack) -> None:
    """With the same processes, six times; what is sent after each restart is answered."""
    template = templates.published(producer, "Hello", type="sms")
    worker = psutil.Process(stack.processes["worker"].pid)
    before = {child.pid for child in worker.children()}
    for _ in range(6):
        stack.valkey.kill()
        stack.valkey.start()
        sent = [producer.send("render.one", {"template_id": template}) for _ in range(20)]
        assert [producer.answer(each, timeout=60)["body"] for each in sent] == ["Hello"] * 20
    assert {child.pid for child in worker.children()} == before


def test_messages_in_hand_when_the_broker_is_killed_are_answered_and_acknowledged(
    producer: Producer, stack: LocalStack
) -> None:
    """Those being worked on are not done again, those that waited go back to the queue."""
    template = templates.created(producer, type="sms")
    messages = [{"template_id": template, "body": f"Hello {number}"} for number in range(8)]
    with psycopg.connect(stack.postgres.url) as connection:
        # Two publishes wait for this lock in the pool's two processes, the others behind them.
        connection.execute("SELECT 1 FROM templates WHERE template_id = %s FOR UPDATE", [template])
        sent = [producer.send("version.publish", message) for message in messages]
        with redis.Redis.from_url(stack.valkey.url) as valkey:
            assert wait_until(lambda: len(held(valkey)) > 4, 20)
        stack.valkey.kill()
        stack.valkey.start()
        connection.rollback()
    answers = [producer.answer(each, timeout=60) for each in sent]
    assert sorted(answer["version"] for answer in answers) == [str(n + 1) for n in range(8)]
    with redis.Redis.from_url(stack.valkey.url) as valkey:
        assert wait_until(lambda: not held(valkey), 20)
        assert valkey.llen("templates") == 0
