"""What the command's producer makes of answers."""

import pytest
from pydantic import SecretStr

from db.errors import OperationError
from worker.producer import Message, Producer, Refusal
from worker.settings import Settings

MESSAGE = Message("key", "bundle.apply", {})


@pytest.fixture
def producer() -> Producer:
    """Return a producer that is never connected."""
    settings = Settings(
        database_url=SecretStr("postgresql://localhost:1/none"),
        broker_url=SecretStr("redis://:secret@localhost:1/0"),
        result_backend=SecretStr("redis://localhost:1/1"),
    )
    return Producer(settings)


def failure(*problems: dict[str, str]) -> dict[str, object]:
    """Return a stored refusal."""
    content = ["invalid_message", "refused", list(problems)]
    return {"status": "FAILURE", "result": {"exc_type": "Invalid", "exc_message": content}}


def test_a_refusal_is_an_answer(producer: Producer) -> None:
    """With its code and all problems."""
    problem = {"path": "name", "type": "missing", "message": "is required"}
    refusal = producer.result(MESSAGE, failure(problem))
    assert isinstance(refusal, Refusal)
    assert str(refusal) == "invalid_message: refused\nname: is required"


def test_an_older_service_is_a_sentence(producer: Producer) -> None:
    """A worker that does not know the task says so."""
    problem = {"path": "headers.task", "type": "unknown_task", "message": "no such task"}
    with pytest.raises(OperationError, match=r"does not know bundle\.apply: it is older"):
        producer.result(MESSAGE, failure(problem))


def test_a_defect_of_a_worker_is_a_sentence(producer: Producer) -> None:
    """Its answer has another shape."""
    stored = {"status": "FAILURE", "result": {"exc_type": "TimeLimitExceeded", "exc_message": [30]}}
    with pytest.raises(OperationError, match="failed in the worker: TimeLimitExceeded"):
        producer.result(MESSAGE, stored)
