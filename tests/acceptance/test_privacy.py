"""What producers send and what is rendered from it is theirs: no log, event or page shows it."""

import base64
import http.client
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from celery import Celery

from db.cluster.processes import wait_until
from tests.factories import templates
from tests.support.producer import Producer
from tests.support.stacks import small_stack
from worker.local import LocalStack


@contextmanager
def events_of(app: Celery) -> Iterator[list[dict[str, Any]]]:
    """Collect every event that is sent meanwhile."""
    events: list[dict[str, Any]] = []
    ready, stop = threading.Event(), threading.Event()

    def receive() -> None:
        with app.connection_for_read() as connection:
            receiver = app.events.Receiver(connection, handlers={"*": events.append})
            consumer = receiver.itercapture(limit=None, timeout=0.2, wakeup=True)
            ready.set()
            while not stop.is_set():
                try:
                    next(consumer)
                except (TimeoutError, StopIteration):
                    consumer = receiver.itercapture(limit=None, timeout=0.2, wakeup=False)

    thread = threading.Thread(target=receive)
    thread.start()
    ready.wait()
    try:
        yield events
    finally:
        stop.set()
        thread.join()


def send_secrets(producer: Producer, secret: str) -> list[str]:
    """Send accepted and refused messages full of ``secret``; return their task ids."""
    template = templates.created(producer, name=f"Name {secret}")
    sent: list[tuple[str, dict[str, Any]]] = [
        (
            "version.publish",
            {
                "template_id": template,
                "subject": f"{secret} {{{{ name }}}}",
                "body": f"<p>{secret} {{{{ name }}}}</p>",
                "variables": [{"name": "name", "type": "string", "example": secret}],
            },
        ),
        (
            "translation.upsert",
            {"template_id": template, "language_code": "de", "body": f"{secret} {{{{ name }}}}"},
        ),
        ("render.one", {"template_id": template, "variables": {"name": secret}}),
        ("render.one", {"template_id": template, "variables": {"name": [secret]}}),
        ("render.one", {"template_id": f"{secret} ", "variables": {"name": secret}}),
        ("render.one", {"template_id": template, "variables": {"name": 1, "other": secret}}),
        (
            "render.batch",
            {
                "template_id": template,
                "items": [
                    {"key": secret, "variables": {"name": secret}},
                    {"key": 2, "variables": {"name": [secret]}},
                    {"key": 3, "variables": {"name": 1, secret: secret}},
                    secret,
                ],
                "variables": {"name": secret},
            },
        ),
        ("render.batch", {"template_id": template, "items": {secret: secret}}),
        (
            "render.preview",
            {"type": "email", "body": f"{secret} {{{{ x }}}}", "variables": {"x": secret}},
        ),
        (
            "render.preview",
            {"type": "sms", "body": "{{ x|currency('EUR') }}", "variables": {"x": secret}},
        ),
        (
            "render.preview",
            {
                "type": "sms",
                "body": "{{ x|join(y)|abs }}",
                "variables": {"x": [secret], "y": secret},
            },
        ),
        (
            "version.diff",
            {"template_id": template, "from_version": "1", "to_version": "1"},
        ),
        ("template.get", {"template_id": template}),
        ("template.update", {"template_id": template, "name": f"{secret}\n"}),
        ("version.publish", {"template_id": template, "body": f"{secret} {{{{ name"}),
        ("translation.upsert", {"template_id": template, "language_code": secret, "body": secret}),
    ]
    ids = []
    for task, keywords in sent:
        # What a Python producer's Celery puts there is the whole payload.
        task_id = producer.send(task, keywords, kwargsrepr=repr(keywords), argsrepr=f"({secret!r})")
        ids.append(task_id)
        stored = producer.stored(task_id)
        if stored["status"] == "FAILURE":
            # A snippet is the template's own line, which its author has sent.
            _, message, details = stored["result"]["exc_message"]
            assert secret not in message
            assert [item for item in details if secret in str(item | {"snippet": ""})] == []
    return ids


def test_no_value_or_rendered_text_is_in_logs_or_events(
    producer: Producer, stack: LocalStack
) -> None:
    """Not in either worker's log, not in any event, nor in what inspect shows."""
    secret = f"secret-{uuid.uuid4().hex}"
    with events_of(producer.app) as events:
        ids = send_secrets(producer, secret)
        done = {"task-succeeded", "task-failed"}
        assert wait_until(
            lambda: set(ids) <= {event["uuid"] for event in events if event["type"] in done}, 20
        )
    assert [event for event in events if secret in str(event)] == []
    shown = {event.get("kwargs") for event in events if event["type"] == "task-received"}
    assert any("template_id=welcome-" in str(text) for text in shown)
    logs = [(stack.logs / f"{name}.log").read_text() for name in ("worker", "worker2")]
    assert [log for log in logs if secret in log] == []
    assert [task_id for task_id in ids if not any(task_id in log for log in logs)] == []


def test_flower_shows_ids_and_no_values(tmp_path: Path) -> None:
    """Its list of tasks and the page of each task work, and hold none of the producer's words."""
    secret = f"secret-{uuid.uuid4().hex}"
    with small_stack(tmp_path, flower=True) as stack, Producer.of(stack) as producer:
        ids = send_secrets(producer, secret)
        assert stack.flower is not None
        address = urlsplit(stack.flower.url_with_password)
        credentials = base64.b64encode(f"{address.username}:{address.password}".encode()).decode()

        def page(path: str) -> tuple[int, str]:
            connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=20)
            try:
                headers = {"Authorization": f"Basic {credentials}"}
                connection.request("GET", path, headers=headers)
                response = connection.getresponse()
                return response.status, response.read().decode()
            finally:
                connection.close()

        assert wait_until(lambda: all(page(f"/task/{i}")[0] == 200 for i in ids), 20)
        pages = [page(path) for path in ("/", "/workers", "/tasks", "/broker")]
        pages += [page(f"/task/{i}") for i in ids]
    assert {status for status, _ in pages} == {200}
    assert [text for _, text in pages if secret in text] == []
