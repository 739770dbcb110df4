"""An answer is stored inside its task; what cannot be answered is delivered again, never lost."""

import json
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from celery.exceptions import Reject, Retry

from tasks import answers, time_limit
from tasks.base import ServiceTask
from tasks.errors import Unavailable
from tasks.rendering.child import RenderProcessError
from tests.factories import templates
from tests.support.tasks import Tasks
from worker.envelope.callbacks import complete
from worker.local import LocalStack
from worker.local.valkey import LocalValkey
from worker.results import RedisBackend


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalValkey]:
    """Give a result backend on a server of its own."""
    directory = tmp_path_factory.mktemp("results")
    with LocalValkey(directory, die_with_parent=True) as valkey:
        yield valkey


@pytest.fixture
def store(results: LocalValkey) -> Iterator[redis.Redis]:
    """Give a connection to the result backend."""
    with redis.Redis.from_url(results.url, decode_responses=True) as client:
        yield client


@pytest.fixture
def broker(servers: LocalStack) -> Iterator[redis.Redis]:
    """Give a connection to the broker; the messages of the test are deleted in the end."""
    with redis.Redis.from_url(servers.valkey.url, decode_responses=True) as client:
        yield client
        client.delete("templates", "render", "next", "celery")


@pytest.fixture
def service(
    tasks: Tasks, results: LocalValkey, broker: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Tasks]:
    """Give the tasks with that result backend, and with short timeouts."""
    broker.ping()
    backend = RedisBackend(app=tasks.app, url=results.url)
    for name in ("template.create", "template.get", "render.one"):
        monkeypatch.setattr(tasks.app.tasks[name], "_backend", backend)
    monkeypatch.setattr(answers, "PATIENCE_SECONDS", 0.3)
    yield tasks
    backend.client.connection_pool.disconnect()


def stored(store: redis.Redis, task_id: str) -> dict[str, Any] | None:
    """Return what a producer reads."""
    answer = store.get(f"celery-task-meta-{task_id}")
    return None if answer is None else dict(json.loads(str(answer)))


def sent(broker: redis.Redis, queue: str) -> list[dict[str, Any]]:
    """Return the headers of the messages on a queue, the oldest first."""
    raw = broker.lrange(queue, 0, -1)
    assert isinstance(raw, list)
    return [json.loads(each)["headers"] for each in reversed(raw)]


def calls(store: redis.Redis) -> int:
    """Return how often the result backend was asked to look and store, or to do one of the two."""
    commands = store.info("commandstats")
    assert isinstance(commands, dict)
    names = ("evalsha", "eval", "get")
    return sum(commands.get(f"cmdstat_{name}", {}).get("calls", 0) for name in names)


@contextmanager
def out_of_memory(server: redis.Redis) -> Iterator[None]:
    """Have a server refuse all writes with OOM."""
    server.config_set("maxmemory", 1)
    try:
        yield
    finally:
        server.config_set("maxmemory", 0)


@contextmanager
def read_only(server: redis.Redis) -> Iterator[None]:
    """Have a server refuse all writes with READONLY, as after a failover."""
    server.replicaof("127.0.0.1", 1)
    try:
        yield
    finally:
        server.replicaof("NO", "ONE")


@contextmanager
def without_replicas(server: redis.Redis) -> Iterator[None]:
    """Have a server refuse all writes with NOREPLICAS."""
    server.config_set("min-replicas-to-write", 1)
    try:
        yield
    finally:
        server.config_set("min-replicas-to-write", 0)


FAULTS: dict[str, Callable[[redis.Redis], Any]] = {
    "OOM": out_of_memory,
    "READONLY": read_only,
    "NOREPLICAS": without_replicas,
}


def creation() -> dict[str, Any]:
    """Return a message that creates a template."""
    return {"template_id": templates.template_id(), "name": "New", "type": "sms"}


def test_an_answer_costs_one_round_trip(service: Tasks, store: redis.Redis) -> None:
    """Celery, which comes after the task with the same answer, finds it stored."""
    service.deliver("template.get", {"template_id": "unknown"})
    before = calls(store)
    assert service.deliver("template.create", creation()).state == "SUCCESS"
    assert service.deliver("template.get", {"template_id": "unknown"}).state == "FAILURE"
    assert calls(store) - before == 2


def test_a_refusal_is_stored_as_celery_stores_it(service: Tasks, store: redis.Redis) -> None:
    """With the class of the error and its three arguments, and without this service's files."""
    service.deliver("template.get", {"template_id": "unknown"}, task_id="refused")
    meta = stored(store, "refused")
    assert meta is not None
    assert meta["status"] == "FAILURE"
    assert meta["result"]["exc_type"] == "TemplateNotFound"
    assert meta["result"]["exc_message"][0] == "template_not_found"
    assert meta["traceback"] is None


@pytest.mark.parametrize("fault", FAULTS)
def test_a_message_whose_answer_cannot_be_stored_is_sent_again(
    service: Tasks, store: redis.Redis, broker: redis.Redis, fault: str
) -> None:
    """The message goes back with its id and its count of tries; the work is done once."""
    message, task_id = creation(), str(uuid.uuid4())
    with FAULTS[fault](store):
        delivery = service.deliver("template.create", message, task_id=task_id, retries=2)
    assert delivery.state == "RETRY"
    (again,) = sent(broker, "templates")
    assert (again["id"], again["retries"]) == (task_id, 2)
    assert (
        service.deliver("template.create", message, task_id=task_id, retries=2).state == "SUCCESS"
    )
    meta = stored(store, task_id)
    assert meta is not None
    assert meta["result"]["template_id"] == message["template_id"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_message_whose_refusal_cannot_be_stored_is_sent_again(
    service: Tasks, store: redis.Redis, broker: redis.Redis, fault: str
) -> None:
    """A message that is refused is one that is answered, too."""
    with FAULTS[fault](store):
        delivery = service.deliver("template.get", {"template_id": "unknown"}, task_id=fault)
    assert delivery.state == "RETRY"
    assert [each["id"] for each in sent(broker, "templates")] == [fault]


def test_an_unavailable_result_backend_loses_no_answer(
    service: Tasks, results: LocalValkey, broker: redis.Redis
) -> None:
    """Also on the last of all tries, as there is nobody to tell that it was the last."""
    results.stop()
    try:
        delivery = service.deliver("template.create", creation(), task_id="away", retries=99)
    finally:
        results.start()
    assert delivery.state == "RETRY"
    assert [each["id"] for each in sent(broker, "templates")] == ["away"]


def test_storing_an_answer_is_retried_within_the_delivery(
    service: Tasks, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is back within a moment costs no delivery."""
    store.config_set("maxmemory", 1)
    monkeypatch.setattr(answers, "PATIENCE_SECONDS", 60)
    monkeypatch.setattr("tasks.answers.time.sleep", lambda _: store.config_set("maxmemory", 0))
    assert service.deliver("template.create", creation()).state == "SUCCESS"


def test_a_key_of_another_type_is_replaced(service: Tasks, store: redis.Redis) -> None:
    """Otherwise its message could never be answered, and would come again for ever."""
    store.rpush("celery-task-meta-list", "x")
    assert service.deliver("template.create", creation(), task_id="list").state == "SUCCESS"
    meta = stored(store, "list")
    assert meta is not None
    assert meta["status"] == "SUCCESS"


def test_a_message_is_requeued_if_neither_answer_nor_retry_can_be_sent(
    service: Tasks, store: redis.Redis, broker: redis.Redis
) -> None:
    """The broker delivers it again."""
    with out_of_memory(store), out_of_memory(broker):
        delivery = service.deliver("template.create", creation())
    assert delivery.state == "REJECTED"
    assert isinstance(delivery.value, Reject)
    assert delivery.value.requeue


def failing(
    monkeypatch: pytest.MonkeyPatch, service: Tasks, task: str, error: BaseException
) -> ServiceTask:
    """Have the work of a task end with ``error``."""
    known: ServiceTask = service.app.tasks[task]

    def execute(*_: object) -> None:
        raise error

    monkeypatch.setattr(type(known), "execute", execute)
    return known


TRANSIENT: dict[str, BaseException] = {
    "database": psycopg.OperationalError("gone"),
    "memory": MemoryError(),
    "render process": RenderProcessError("killed"),
}


@pytest.mark.parametrize("cause", TRANSIENT)
def test_transient_errors_are_retried_and_end_in_unavailable(
    service: Tasks,
    store: redis.Redis,
    broker: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
    cause: str,
) -> None:
    """Each try is counted; a MemoryError would otherwise end the worker."""
    failing(monkeypatch, service, "render.one", TRANSIENT[cause])
    first = service.deliver("render.one", {"template_id": "x"}, task_id=cause)
    assert first.state == "RETRY"
    assert isinstance(first.value, Retry)
    assert [each["retries"] for each in sent(broker, "render")] == [1]
    last = service.deliver("render.one", {"template_id": "x"}, task_id=cause, retries=1000)
    assert last.state == "FAILURE"
    assert isinstance(last.value, Unavailable)
    meta = stored(store, cause)
    assert meta is not None
    assert meta["result"]["exc_message"][0] == "unavailable"


@pytest.mark.parametrize("message", [creation(), {}], ids=["answer", "refusal"])
def test_a_memory_error_while_an_answer_is_stored_is_retried(
    service: Tasks, broker: redis.Redis, monkeypatch: pytest.MonkeyPatch, message: dict[str, Any]
) -> None:
    """What was done stays a success, which the next try stores."""
    backend = service.app.tasks["template.create"].backend
    with monkeypatch.context() as patch:
        patch.setattr(backend, "_store_result", lambda *_, **__: bytearray(2**62))
        delivery = service.deliver("template.create", message, task_id="large")
    assert delivery.state == "RETRY"
    assert [each["id"] for each in sent(broker, "templates")] == ["large"]


def test_a_message_is_requeued_if_its_retry_cannot_be_sent(
    service: Tasks, broker: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Celery itself would drop it."""
    failing(monkeypatch, service, "render.one", psycopg.OperationalError("gone"))
    with out_of_memory(broker):
        delivery = service.deliver("render.one", {"template_id": "x"})
    assert isinstance(delivery.value, Reject)
    assert delivery.value.requeue


@pytest.mark.parametrize("foreign", ["nobody-reads-this", "", None, 7])
def test_a_retry_goes_to_a_consumed_queue(
    service: Tasks, broker: redis.Redis, monkeypatch: pytest.MonkeyPatch, foreign: object
) -> None:
    """Whatever a message that was written by hand says about its queue."""
    failing(monkeypatch, service, "render.one", psycopg.OperationalError("gone"))
    info = {"exchange": "", "routing_key": foreign}
    service.deliver("render.one", {"template_id": "x"}, task_id="foreign", delivery_info=info)
    assert [each["id"] for each in sent(broker, "render")] == ["foreign"]


def test_a_time_limit_while_an_answer_is_stored_changes_nothing(
    service: Tasks, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done stays a success."""
    backend = service.app.tasks["template.create"].backend
    store_one = backend._store_result

    def struck(*arguments: object, **options: object) -> object:
        os.kill(os.getpid(), signal.SIGUSR1)
        result = store_one(*arguments, **options)
        os.kill(os.getpid(), signal.SIGUSR1)
        return result

    monkeypatch.setattr(backend, "_store_result", struck)
    before = signal.signal(signal.SIGUSR1, time_limit.strike)
    try:
        delivery = service.deliver("template.create", creation(), task_id="struck")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert delivery.state == "SUCCESS"
    meta = stored(store, "struck")
    assert meta is not None
    assert meta["status"] == "SUCCESS"


def link(task: str) -> dict[str, Any]:
    """Return a callback as a producer sends it."""
    return {
        "task": task,
        "args": [],
        "kwargs": {},
        "options": {"queue": "next"},
        "subtask_type": None,
        "immutable": False,
    }


class TestCallbacks:
    """Called as Celery calls them, before the result is stored."""

    def test_callbacks_and_chain_are_called_once(
        self, service: Tasks, store: redis.Redis, broker: redis.Redis
    ) -> None:
        """The result names them as its children."""
        delivery = service.deliver(
            "template.create",
            creation(),
            task_id="linked",
            callbacks=[link("one.done"), link("two.done")],
            chain=[link("last"), link("next.step")],
        )
        assert delivery.state == "SUCCESS"
        called = sent(broker, "next")
        assert sorted(each["task"] for each in called) == ["next.step", "one.done", "two.done"]
        meta = stored(store, "linked")
        assert meta is not None
        assert len(meta["children"]) == 2  # the group of two, and the step of the chain

    def test_a_single_callback_is_the_child_of_its_result(
        self, service: Tasks, store: redis.Redis, broker: redis.Redis
    ) -> None:
        """Under the task id with which it was called."""
        service.deliver("template.create", creation(), task_id="one", callbacks=[link("done")])
        (called,) = sent(broker, "next")
        meta = stored(store, "one")
        assert meta is not None
        assert meta["children"][0][0][0] == called["id"]
        assert (called["parent_id"], called["root_id"]) == ("one", "one")

    def test_a_redelivered_message_calls_callbacks_with_the_same_ids(
        self, service: Tasks, broker: redis.Redis
    ) -> None:
        """So whoever is called can tell that it was called twice."""
        message = creation()
        for _ in range(2):
            service.deliver("template.create", message, task_id="twice", callbacks=[link("done")])
        first, second = (each["id"] for each in sent(broker, "next"))
        assert first == second

    def test_callbacks_are_called_once_if_storing_the_answer_is_retried(
        self, service: Tasks, store: redis.Redis, broker: redis.Redis
    ) -> None:
        """The message that is put back does not ask for them any more."""
        with out_of_memory(store):
            delivery = service.deliver("template.create", creation(), callbacks=[link("done")])
        assert delivery.state == "RETRY"
        assert len(sent(broker, "next")) == 1
        raw = broker.lindex("templates", 0)
        assert "done" not in str(raw)

    def test_a_message_is_requeued_if_its_callback_cannot_be_sent(
        self, service: Tasks, store: redis.Redis, broker: redis.Redis
    ) -> None:
        """Celery makes a failure of work that was done; here it is answered when it can be."""
        message = creation()
        with out_of_memory(broker):
            delivery = service.deliver(
                "template.create", message, task_id="later", callbacks=[link("done")]
            )
        assert isinstance(delivery.value, Reject)
        assert stored(store, "later") is None
        service.deliver("template.create", message, task_id="later", callbacks=[link("done")])
        meta = stored(store, "later")
        assert meta is not None
        assert meta["status"] == "SUCCESS"

    def test_errbacks_are_called_when_a_message_is_refused(
        self, service: Tasks, broker: redis.Redis
    ) -> None:
        """Once, with the id of the message."""
        service.deliver("template.get", {"template_id": "unknown"}, errbacks=[link("failed")])
        (called,) = sent(broker, "next")
        assert called["task"] == "failed"

    def test_an_errback_that_is_a_chain_is_called(
        self, service: Tasks, broker: redis.Redis
    ) -> None:
        """Its first task gets the id; Celery would call it with objects that are not JSON."""
        parts = [link("failed"), link("reported")]
        chain = link("celery.chain") | {"subtask_type": "chain", "kwargs": {"tasks": parts}}
        errbacks = [chain]
        assert complete({"errbacks": errbacks})
        service.deliver("template.get", {"template_id": "unknown"}, errbacks=errbacks)
        (called,) = sent(broker, "next")
        assert called["task"] == "failed"

    @pytest.mark.parametrize("callbacks", [[7], [{"task": 7}], [{"options": 7}]])
    def test_malformed_callbacks_end_in_a_failure(
        self, service: Tasks, store: redis.Redis, callbacks: object
    ) -> None:
        """As with Celery; the message is answered. The check of envelopes lets none come so far."""
        task_id = str(uuid.uuid4())
        service.deliver("template.create", creation(), task_id=task_id, callbacks=callbacks)
        meta = stored(store, task_id)
        assert meta is not None
        assert meta["status"] == "FAILURE"


def test_malformed_errbacks_do_not_replace_the_refusal(
    service: Tasks, store: redis.Redis, tmp_path: Path
) -> None:
    """The producer reads why its message was refused."""
    task_id = tmp_path.name
    service.deliver("template.get", {"template_id": "unknown"}, task_id=task_id, errbacks=[7])
    meta = stored(store, task_id)
    assert meta is not None
    assert meta["result"]["exc_type"] == "TemplateNotFound"
