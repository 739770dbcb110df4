"""A message ends, whatever Celery raises while it follows it."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest
import redis
from billiard.einfo import ExceptionInfo
from celery.exceptions import Reject, Retry, WorkerLostError
from celery.worker.request import create_request_cls
from kombu import Connection

from tasks.errors import TemplateNotFound
from tests.support.held import held
from tests.support.producer import Producer
from tests.support.tasks import Tasks
from worker.broker import bounds
from worker.envelope import Rules
from worker.local import LocalStack
from worker.node.inbox import Inbox
from worker.node.refusals import Refusals
from worker.node.request import Request
from worker.settings import from_environment
from worker.transport import Transport

DATABASE = 13
TASK = "render.one"
RAISED = (
    RuntimeError("no such thing"),
    KeyError("uuid"),
    redis.ConnectionError("lost"),
    SystemExit(1),
    MemoryError(),
)


class Broken:
    """Stands for a dispatcher of events that can do nothing."""

    enabled = True

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def send(self, *_: object, **__: object) -> None:
        """Fail."""
        raise self._error


def information(error: BaseException) -> ExceptionInfo:
    """Return an error as the pool tells it."""
    try:
        raise error
    except type(error):
        return ExceptionInfo()


ENDS: dict[str, Callable[[Request], None]] = {
    "success": lambda request: request.on_success((False, {"n": 1}, 0.1)),
    "refused": lambda request: request.on_success(
        (True, information(TemplateNotFound.named("any")), 0.1)
    ),
    "retried": lambda request: request.on_failure(information(Retry("again"))),
    "rejected": lambda request: request.on_failure(information(Reject("no", requeue=False))),
    "process lost": lambda request: request.on_failure(information(WorkerLostError("signal 9"))),
    "process reported to end": lambda request: request.on_success(
        (True, information(SystemExit(1)), 0.1)
    ),
    "thread ended": lambda request: request.on_success(information(WorkerLostError("exit"))),
    "no memory": lambda request: request.on_failure(information(MemoryError())),
}


@pytest.fixture
def broker(servers: LocalStack) -> Iterator[redis.Redis]:
    """Give a client of an empty database."""
    with redis.Redis.from_url(servers.valkey.url_of(DATABASE)) as client:
        client.flushdb()
        yield client
        client.flushdb()


@pytest.fixture
def message(servers: LocalStack, tasks: Tasks, broker: redis.Redis) -> Iterator[Any]:
    """Give a message that a worker has taken."""
    url = servers.valkey.url_of(DATABASE)
    settings = from_environment(servers.addresses())
    with (
        Producer(url, servers.valkey.url_of(1)) as producer,
        Connection(url, transport=Transport) as connection,
    ):
        producer.send(TASK, {"template_id": "any"})
        taken: list[Any] = []
        channel = connection.channel()
        inbox = Inbox(
            Rules.of(settings, tasks.app.tasks), Refusals(tasks.app, None, bounds(settings))
        )
        channel.gate = partial(inbox.admit, channel)
        channel.basic_consume("render", False, partial(inbox.handle, taken.append), "tag")  # noqa: FBT003 - kombu's signature
        channel.fetcher.step()
        yield taken[0]
    with redis.Redis.from_url(servers.valkey.url) as client:
        client.delete("render")  # what was sent anew


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("end", ENDS)
def test_a_message_is_settled_whatever_an_event_raises(
    broker: redis.Redis,
    tasks: Tasks,
    message: Any,  # noqa: ANN401 - kombu's message
    end: str,
    error: BaseException,
) -> None:
    """Acknowledged, on its queue again, or a dead letter: nobody holds it without working on it."""
    task = tasks.app.tasks[TASK]
    # As Celery makes it for each task; the message itself is with no pool here.
    made_for_task = create_request_cls(Request, task, Mock(), "here", None, app=tasks.app)
    request = made_for_task(
        message,
        on_ack=message.ack_log_error,
        on_reject=message.reject_log_error,
        eventer=Broken(error),
        app=tasks.app,
        task=task,
        headers=message.headers,
        body=message.body,
        connection_errors=(redis.ConnectionError,),
    )
    ENDS[end](request)
    assert message.channel.holder.in_hand == {}
    assert held(broker) == []
