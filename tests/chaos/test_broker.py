"""The broker is killed and comes back: the worker goes on, and keeps what it had taken."""

import psycopg
import redis

from db.cluster.processes import wait_until
from tests.factories import templates
from tests.support.held import held
from tests.support.producer import Producer
from worker.local import LocalStack


def test_messages_in_hand_when_the_broker_is_killed_are_answered_and_acknowledged(
    producer: Producer, stack: LocalStack
) -> None:
    """Those being worked on are not done again, those that waited go back to the queue."""
    template = templates.created(producer, type="sms")
    messages = [{"template_id": template, "body": f"Hello {number}"} for number in range(8)]
    with psycopg.connect(stack.postgres.url) as connection:
        # Two publishes wait for this lock in the pool's two processes, the others after them.
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
