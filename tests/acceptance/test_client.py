"""The Python client: built, installed alone, and used against real workers."""

import asyncio
import json
import pickle
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import Code
from template_service_client import (
    AsyncClient,
    Client,
    DefectError,
    InvalidMessage,
    NoAnswerError,
    ServiceError,
    TemplateNotFound,
)
from template_service_client.errors import ERRORS
from tests.support.contract import errors_of_result
from tests.support.packages import create_environment, install_alone, installed
from tests.support.producer import Producer
from worker.local import LocalStack

MAIN_JOB = """
import json, sys
from template_service_client import Client, TemplateNotFound

template_id = sys.argv[1]
client = Client()
client.template_create(template_id=template_id, name="Alone", type="email")
text = {"body": "<p>Dear {{ name }}</p>", "subject": "For {{ name }}"}
client.version_publish(template_id=template_id, **text)
print(client.render_one(template_id=template_id, variables={"name": "Ada"})["subject"])
try:
    client.render_one(template_id=template_id + "-missing")
except TemplateNotFound as error:
    print(error.code, error.details[0]["path"])
taken = {name.partition(".")[0] for name in sys.modules} & {"db", "tasks", "worker", "pydantic"}
print(json.dumps(sorted(taken)))
"""


@pytest.fixture
def client(stack: LocalStack) -> Iterator[Client]:
    """Return a client of ``stack``."""
    addresses = stack.addresses()
    client = Client(addresses["CELERY_BROKER_URL"], addresses["CELERY_RESULT_BACKEND"])
    yield client
    client.app.close()


@pytest.fixture
def greeting(client: Client) -> str:
    """Return the id of a published template."""
    template_id = f"greeting-{uuid.uuid4().hex[:8]}"
    client.template_create(template_id=template_id, name="Greeting", type="sms")
    client.version_publish(template_id=template_id, body="Dear {{ name }}")
    return template_id


def test_nothing_but_the_client_sends_the_main_job(
    stack: LocalStack, checkout: Path, tmp_path: Path
) -> None:
    """Installed as its wheel into a new environment, with Celery and what that requires."""
    environment = tmp_path / "venv"
    create_environment(environment)
    install_alone(environment, checkout / "client", extra="redis")
    packages = installed(environment).keys()
    assert {"template-service-client", "celery", "redis"} <= packages
    assert not {"template-service", "pydantic", "sqlalchemy", "psycopg"} & packages
    template_id = f"alone-{uuid.uuid4().hex[:8]}"
    done = subprocess.run(
        [environment / "bin" / "python", "-I", "-c", MAIN_JOB, template_id],
        env=stack.environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["For Ada", "template_not_found template_id", "[]"]


def test_results_and_errors_are_those_of_the_contract(client: Client, greeting: str) -> None:
    """A result as the schema says; a refusal is the exception of its code, with all problems."""
    rendered = client.render_one(template_id=greeting, variables={"name": "Ada"})
    assert (rendered["body"], rendered["segments"]) == ("Dear Ada", 1)
    assert errors_of_result("render.one", rendered) == []
    batch = client.render_batch(template_id=greeting, items=[{"key": 1}])
    assert (batch["rendered"], batch["failed"]) == (0, 1)
    with pytest.raises(InvalidMessage) as refused:
        client.render_one(template_id="No Id", language="?")
    assert {detail["path"] for detail in refused.value.details} == {"template_id", "language"}
    assert str(refused.value).startswith("invalid_message: ")
    assert "template_id: expected 1 to 255 characters" in str(refused.value)
    for error in (refused.value, NoAnswerError("an-id", 30.0)):
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 - it was made above
        assert (type(again), str(again)) == (type(error), str(error))
    assert list(ERRORS) == list(Code)
    assert all(issubclass(error, ServiceError) for error in ERRORS.values())


def test_an_asyncio_producer_awaits_many_calls_at_once(stack: LocalStack, greeting: str) -> None:
    """The loop goes on meanwhile, and errors are raised where they are awaited."""
    addresses = stack.addresses()
    client = AsyncClient(addresses["CELERY_BROKER_URL"], addresses["CELERY_RESULT_BACKEND"])

    async def calls() -> list[Any]:
        names = ["Ada", "Grace", "Edsger"]
        renders = [
            client.render_one(template_id=greeting, variables={"name": name}) for name in names
        ]
        missing = client.render_one(template_id=f"{greeting}-missing")
        return await asyncio.gather(*renders, missing, return_exceptions=True)

    *rendered, error = asyncio.run(calls())
    client.app.close()
    assert [each["body"] for each in rendered] == ["Dear Ada", "Dear Grace", "Dear Edsger"]
    assert isinstance(error, TemplateNotFound)


def test_options_and_signatures_are_those_of_celery(
    client: Client, producer: Producer, greeting: str
) -> None:
    """A link to another service's queue, a chain, a priority, an id of one's own, a timeout."""
    queue = f"delivery-{uuid.uuid4().hex[:8]}"
    deliver = client.app.signature("sms.send", queue=queue)
    task_id = str(uuid.uuid4())
    linked = client.with_options(link=[deliver], priority=9, task_id=task_id)
    message: dict[str, Any] = {"template_id": greeting, "variables": {"name": "Ada"}}
    assert linked.send("render.one", message) == task_id
    assert client.answer(task_id)["body"] == "Dear Ada"
    (client.signature("render.one", message) | deliver).apply_async()
    with producer.app.connection_for_read() as connection, connection.SimpleQueue(queue) as sent:
        for _ in range(2):
            delivery = sent.get(timeout=30)
            assert delivery.payload[0][0]["body"] == "Dear Ada"
            delivery.ack()
    with pytest.raises(NoAnswerError) as unanswered:
        client.with_options(timeout=0.05).answer("no-such-message")
    assert unanswered.value.task_id == "no-such-message"


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        ({"exc_type": "New", "exc_message": ["new_code", "text", []]}, "new_code: text"),
        ({"exc_type": "TimeLimitExceeded", "exc_message": [30]}, "TimeLimitExceeded: [30]"),
        (None, "None"),
    ],
)
def test_a_failure_that_the_client_does_not_know_is_an_exception_too(
    client: Client, stack: LocalStack, failure: object, expected: str
) -> None:
    """A code that is newer than the client, a defect, and a revoked message."""
    task_id = str(uuid.uuid4())
    with Producer.of(stack) as producer:
        stored = {"status": "FAILURE" if failure else "REVOKED", "result": failure}
        producer.backend.set(f"celery-task-meta-{task_id}", json.dumps(stored), ex=60)
    with pytest.raises((ServiceError, DefectError)) as error:
        client.answer(task_id)
    assert str(error.value) == expected


def test_the_generated_modules_are_current(checkout: Path) -> None:
    """``make contract`` writes them from docs/contract.json."""
    command = [sys.executable, "client/generate.py", "--check"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
