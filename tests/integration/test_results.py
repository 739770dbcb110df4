"""The result backend stores an answer in one step, and a success stays."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from celery import Celery

from tasks.errors import TemplateNotFound
from worker.local import LocalStack
from worker.results import backend_url


@pytest.fixture
def app(servers: LocalStack) -> Iterator[Celery]:
    """Give an app with this service's backend."""
    with Celery(backend=backend_url(servers.valkey.url_of(2)), set_as_current=False) as app:
        app.conf.update(result_serializer="json", result_expires=60)
        yield app
        app.backend.client.connection_pool.disconnect()


def stored(app: Celery, task_id: str) -> dict[str, Any]:
    """Return what a client of another language reads."""
    answer: dict[str, Any] = json.loads(app.backend.client.get(f"celery-task-meta-{task_id}"))
    return answer


# Celery 5.7 itself stores with a command that redis-py 8 calls old.
@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")
def test_an_answer_is_stored_as_celery_stores_it(app: Celery, servers: LocalStack) -> None:
    """Byte for byte but for the time, with an end, so that every client finds what it expects."""
    app.backend.store_result("one", {"body": "Zoë"}, "SUCCESS")
    with Celery(backend=servers.valkey.url_of(2), set_as_current=False) as stock:
        stock.conf.update(result_serializer="json", result_expires=60)
        stock.backend.store_result("two", {"body": "Zoë"}, "SUCCESS")
        ours, theirs = stored(app, "one"), stored(app, "two")
        assert stock.backend.get_task_meta("one")["result"] == {"body": "Zoë"}
        stock.backend.client.connection_pool.disconnect()
    assert list(ours) == list(theirs)
    assert ours | {"task_id": 0, "date_done": 0} == theirs | {"task_id": 0, "date_done": 0}
    assert 0 < app.backend.client.ttl("celery-task-meta-one") <= 60


def test_a_success_is_not_replaced(app: Celery) -> None:
    """Not by the failure of a later delivery, nor by its retry."""
    app.backend.store_result("kept", {"body": "Hello"}, "SUCCESS")
    app.backend.store_result("kept", TemplateNotFound.named("x"), "FAILURE")
    app.backend.store_result("kept", TemplateNotFound.named("x"), "RETRY")
    assert stored(app, "kept")["result"] == {"body": "Hello"}


def test_a_failure_is_replaced_by_a_success(app: Celery) -> None:
    """As when a message is sent again after ``unavailable``."""
    app.backend.store_result("again", TemplateNotFound.named("x"), "FAILURE")
    assert stored(app, "again")["result"]["exc_message"][0] == "template_not_found"
    app.backend.store_result("again", {"body": "Hello"}, "SUCCESS")
    assert stored(app, "again")["status"] == "SUCCESS"


def test_a_waiting_client_is_notified_once(app: Celery) -> None:
    """A client that listens gets the answer, and none of a store that changed nothing."""
    key = "celery-task-meta-heard"
    with app.backend.client.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(key)
        listener.get_message(timeout=5)
        app.backend.store_result("heard", {"n": 1}, "SUCCESS")
        app.backend.store_result("heard", {"n": 2}, "SUCCESS")
        heard = listener.get_message(timeout=5)
        assert json.loads(heard["data"])["result"] == {"n": 1}
        assert listener.get_message(timeout=0.2) is None


def test_an_answer_without_expiry_is_kept(app: Celery) -> None:
    """result_expires of 0 means for ever, as with Celery."""
    app.backend.expires = 0
    app.backend.store_result("ever", 1, "SUCCESS")
    assert app.backend.client.ttl("celery-task-meta-ever") == -1


def test_the_script_is_loaded_again_after_a_restart_of_the_backend(app: Celery) -> None:
    """As one is that was restarted."""
    app.backend.store_result("before", 1, "SUCCESS")
    assert isinstance(app.backend.client, redis.Redis)
    app.backend.client.script_flush()
    app.backend.store_result("after", 1, "SUCCESS")
    assert stored(app, "after")["status"] == "SUCCESS"
