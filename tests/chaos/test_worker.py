"""A pool process is killed: its message is worked on again, once, or becomes a dead letter."""

import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import psycopg
import pytest
import redis

from db.cluster.processes import wait_until
from tests.factories import templates
from tests.support.envelopes import dead_letters
from tests.support.producer import Producer, RefusedError
from worker.local import LocalStack


@contextmanager
def locked(stack: LocalStack, template: str) -> Iterator[None]:
    """Hold the row of a template, so that a publish waits in its transaction."""
    with psycopg.connect(stack.postgres.url) as connection:
        connection.execute("SELECT 1 FROM templates WHERE template_id = %s FOR UPDATE", [template])
        yield
        connection.rollback()


def waiting_backends(stack: LocalStack) -> list[int]:
    """Return the server processes that wait for a lock."""
    with psycopg.connect(stack.postgres.url) as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        ).fetchall()
    return [row[0] for row in rows]


def kill_who_waits(stack: LocalStack) -> None:
    """Kill the pool process whose transaction waits for a lock, and wait until that is over."""
    assert wait_until(lambda: bool(waiting_backends(stack)), 20)
    (backend,) = waiting_backends(stack)
    with psycopg.connect(stack.postgres.url) as connection:
        port = connection.execute(
            "SELECT client_port FROM pg_stat_activity WHERE pid = %s", [backend]
        ).fetchone()
    assert port is not None
    worker = psutil.Process(stack.processes["worker"].pid)
    victim = next(
        child
        for child in worker.children()
        if any(item.laddr.port == port[0] for item in child.net_connections(kind="tcp"))
    )
    os.kill(victim.pid, signal.SIGKILL)
    # The server notices that its client is gone once the statement is over; this ends it now.
    with psycopg.connect(stack.postgres.url) as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", [backend])
    assert wait_until(lambda: backend not in waiting_backends(stack), 20)


def test_a_process_killed_in_a_transaction_leaves_one_effect(
    producer: Producer, stack: LocalStack
) -> None:
    """The publish it was working on is done by another process, once."""
    template = templates.created(producer, type="sms")
    with locked(stack, template):
        sent = producer.send("version.publish", {"template_id": template, "body": "Hello"})
        kill_who_waits(stack)
    assert producer.answer(sent, timeout=60)["version"] == "1"
    versions = templates.versions(producer, template)
    assert len(versions) == 1


def test_a_process_killed_between_commit_and_answer_answers_after_all(
    producer: Producer, stack: LocalStack
) -> None:
    """The message is worked on again and finds its own record: same answer, one version."""
    template = templates.created(producer, type="sms")
    task_id = str(uuid.uuid4())
    worker = psutil.Process(stack.processes["worker"].pid)
    with redis.Redis.from_url(stack.valkey.url) as valkey, locked(stack, template):
        message = {"template_id": template, "body": "Hello"}
        producer.send("version.publish", message, task_id=task_id)
        assert wait_until(lambda: bool(waiting_backends(stack)), 20)
        # From here on no answer can be stored: the commit comes, the answer does not.
        valkey.client_pause(4000, all=False)
    assert wait_until(lambda: recorded(stack, task_id), 20)
    for child in worker.children():
        child.kill()
    assert producer.answer(task_id, timeout=60)["version"] == "1"
    versions = templates.versions(producer, template)
    assert len(versions) == 1


def test_a_message_that_ends_its_process_each_time_is_a_dead_letter(
    producer: Producer, stack: LocalStack
) -> None:
    """After the first try and three more; meanwhile other messages are answered."""
    template = templates.created(producer, type="sms")
    other = templates.published(producer, "Hello", type="sms")
    with locked(stack, template):
        sent = producer.send("version.publish", {"template_id": template, "body": "Hello"})
        for _ in range(4):
            kill_who_waits(stack)
            assert producer.call("render.one", {"template_id": other})["body"] == "Hello"
        with pytest.raises(RefusedError) as refused:
            producer.answer(sent, timeout=60)
    assert refused.value.code == "poison_message"

    def kept() -> int:
        letters = dead_letters(stack.valkey.url)
        return sum(letter["headers"].get("id") == sent for letter in letters)

    # The answer comes first, then the letter.
    assert wait_until(lambda: kept() > 0, 10)
    assert kept() == 1
    assert templates.versions(producer, template) == []


def recorded(stack: LocalStack, key: str) -> bool:
    """Tell whether a write with that key was committed."""
    with psycopg.connect(stack.postgres.url) as connection:
        row = connection.execute("SELECT 1 FROM idempotency_records WHERE key = %s", [key])
        return row.fetchone() is not None
