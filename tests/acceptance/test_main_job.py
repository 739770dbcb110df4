"""The main job on real parts: two workers of two processes each, one broker, one database."""

import random
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.factories import templates
from tests.support.producer import Producer, RefusedError
from worker.local import LocalStack

ROUNDS = 200
THREADS = 4


class Author:
    """Changes one template again and again, and knows what a render must show after each change."""

    def __init__(self, producer: Producer, seed: int) -> None:
        self.producer = producer
        self.random = random.Random(seed)  # noqa: S311 - no secret
        self.footer = ""
        self.partial = templates.created(producer, type="partial")
        self.publish_partial()
        self.template = templates.created(producer, type="sms")
        self.versions: dict[str, str] = {}
        self.german: dict[str, str] = {}
        self.current = ""
        self.deleted = False
        self.publish()

    def change(self) -> None:
        """Do one of the writes after which nothing old may be shown."""
        if self.deleted:
            self.producer.call("template.restore", {"template_id": self.template})
            self.deleted = False
            return
        writes = (self.publish, self.activate, self.upsert, self.forget, self.delete)
        self.random.choice([*writes, self.publish_partial])()

    def with_footer(self, body: str) -> str:
        """Return the source of a body that ends with the partial."""
        return f'{body} {{% include "{self.partial}" %}}'

    def publish_partial(self) -> None:
        """Publish the partial, which every version shows from then on."""
        self.footer = f"footer {uuid.uuid4()}"
        message = {"template_id": self.partial, "body": self.footer}
        self.producer.call("version.publish", message)

    def publish(self) -> None:
        """Publish a version, which takes over the German text of the current one or does not."""
        body, carries = f"body {uuid.uuid4()}", self.random.choice([True, False])
        message = {"template_id": self.template, "body": self.with_footer(body)}
        answer = self.producer.call("version.publish", message | {"carry_translations": carries})
        german = self.german.get(self.current) if carries else None
        self.current = answer["version"]
        self.versions[self.current] = body
        if german is not None:
            self.german[self.current] = german

    def activate(self) -> None:
        """Roll back or forward."""
        self.current = self.random.choice(sorted(self.versions))
        message = {"template_id": self.template, "version": self.current}
        self.producer.call("version.activate", message)

    def upsert(self) -> None:
        """Write the German text of the current version."""
        body = f"German {uuid.uuid4()}"
        message = {"template_id": self.template, "language_code": "de"}
        self.producer.call("translation.upsert", message | {"body": self.with_footer(body)})
        self.german[self.current] = body

    def forget(self) -> None:
        """Delete the German text of the current version, if there is one."""
        if self.german.pop(self.current, None) is not None:
            message = {"template_id": self.template, "language_code": "de"}
            self.producer.call("translation.delete", message)

    def delete(self) -> None:
        """Delete the template."""
        self.producer.call("template.delete", {"template_id": self.template})
        self.deleted = True

    def check(self) -> None:
        """Render, and compare with what the last answer promised."""
        message = {"template_id": self.template, "language": "de"}
        if self.deleted:
            with pytest.raises(RefusedError) as refused:
                self.producer.call("render.one", message)
            assert refused.value.code == "template_not_found"
            return
        answer = self.producer.call("render.one", message)
        expected = self.german.get(self.current, self.versions[self.current])
        assert (answer["version"], answer["body"]) == (self.current, f"{expected} {self.footer}")


def test_a_render_sent_after_an_answer_never_shows_the_old_state(producer: Producer) -> None:
    """200 rounds of a write, to the template or its partial, and a render, over two workers."""

    def rounds(seed: int) -> int:
        author = Author(producer, seed)
        for _ in range(ROUNDS // THREADS):
            author.change()
            author.check()
        return ROUNDS // THREADS

    with ThreadPoolExecutor(THREADS) as pool:
        assert sum(pool.map(rounds, range(THREADS))) == ROUNDS


def test_one_message_delivered_ten_times_makes_one_version(
    producer: Producer, stack: LocalStack
) -> None:
    """Ten deliveries of the same message, at once and to both workers, have one effect."""
    template = templates.created(producer, type="sms")
    message = {"template_id": template, "body": "Hello"}
    task_id = str(uuid.uuid4())
    results = [producer.send("version.publish", message, task_id=task_id) for _ in range(10)]
    answers = [producer.answer(result) for result in results]
    # After the ten in the same queue: when it is answered, all of them have been taken.
    versions = templates.versions(producer, template)
    assert [version["version"] for version in versions] == ["1"]
    assert all(answer == answers[0] for answer in answers)
    assert _records(stack, task_id) == 1


def test_ten_messages_with_one_key_get_ten_equal_answers(producer: Producer) -> None:
    """Ten messages at once with the same idempotency_key: one version, ten equal answers."""
    template = templates.created(producer, type="sms")
    message = {"template_id": template, "body": "Hello", "idempotency_key": str(uuid.uuid4())}
    results = [producer.send("version.publish", message) for _ in range(10)]
    answers = [producer.answer(result) for result in results]
    assert all(answer == answers[0] for answer in answers)
    versions = templates.versions(producer, template)
    assert len(versions) == 1


def test_twenty_producers_publishing_at_once_make_twenty_versions(
    producer: Producer, stack: LocalStack
) -> None:
    """Each gets a version of its own, one after the other, and one of them is current."""
    template = templates.created(producer, type="sms")
    start = threading.Barrier(20)

    def publish(number: int) -> dict[str, Any]:
        start.wait()
        message = {"template_id": template, "body": f"body {number}"}
        return producer.call("version.publish", message)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(publish, range(20)))
    assert sorted(int(answer["version"]) for answer in answers) == list(range(1, 21))
    # Each saw the one before it as current: one order, without gaps.
    previous = {answer["version"]: answer["previous_version"] for answer in answers}
    assert previous == {"1": None} | {str(n): str(n - 1) for n in range(2, 21)}
    with psycopg.connect(stack.postgres.url) as connection:
        current = connection.execute(
            "SELECT v.version FROM template_versions AS v JOIN templates AS t "
            "ON t.id = v.template_id WHERE t.template_id = %s AND v.is_current",
            [template],
        ).fetchall()
    assert current == [("20",)]


def test_a_result_can_be_chained_to_another_services_task(
    producer: Producer, stack: LocalStack
) -> None:
    """A link to a task that this service does not have puts the finished text on its queue."""
    template = templates.published(producer, "Hello {{ name }}", type="sms")
    queue = f"delivery-{uuid.uuid4().hex}"
    link = producer.app.signature("delivery.send", queue=queue)
    message = {"template_id": template, "variables": {"name": "Ada"}}
    producer.call("render.one", message, link=link)
    with producer.app.connection_for_read() as connection:
        received = connection.SimpleQueue(queue).get(timeout=10)
        received.ack()
    arguments, _, _ = received.payload
    assert received.headers["task"] == "delivery.send"
    assert arguments[0]["body"] == "Hello Ada"


def _records(stack: LocalStack, key: str) -> int:
    with psycopg.connect(stack.postgres.url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM idempotency_records WHERE key = %s", [key]
        ).fetchone()
    assert row is not None
    return int(row[0])
