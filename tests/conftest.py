"""The servers of a test run: real ones, started once for each test process that needs them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks import runtime
from tests.support.producer import Producer
from tests.support.tasks import Tasks
from worker.local import LocalStack

# Short tries, so that a test of a server that is away need not wait for a minute.
QUICK = {
    "TEMPLATE_SERVICE_RETRY_BACKOFF": "0.2",
    "TEMPLATE_SERVICE_RETRY_BACKOFF_MAX": "1",
}


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """PostgreSQL, migrated, and Valkey; no worker."""
    stack = LocalStack(
        tmp_path_factory.mktemp("servers"),
        workers=0,
        beat=False,
        flower=False,
        durable=False,
        die_with_parent=True,
    )
    with stack:
        yield stack


@pytest.fixture(scope="session")
def tasks(servers: LocalStack) -> Iterator[Tasks]:
    """All tasks in this process, on the database of ``servers``."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (servers.addresses() | QUICK).items():
            patch.setenv(name, value)
        from worker.app import app  # noqa: PLC0415 - its settings come from the environment

        app.loader.import_default_modules()
    # The settings are read by now; left in the environment, CELERY_BROKER_URL would win over the
    # broker of every other Celery app in this process.
    yield Tasks(app)
    runtime.close()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """PostgreSQL, Valkey and two real workers of two processes each."""
    stack = LocalStack(
        tmp_path_factory.mktemp("stack"),
        workers=2,
        beat=False,
        flower=False,
        durable=False,
        die_with_parent=True,
        environment=QUICK,
    )
    with stack:
        yield stack


@pytest.fixture(scope="session")
def producer(stack: LocalStack) -> Iterator[Producer]:
    """Give a producer on the broker of ``stack``."""
    addresses = stack.addresses()
    producer = Producer(addresses["CELERY_BROKER_URL"], addresses["CELERY_RESULT_BACKEND"])
    yield producer
    producer.close()


@pytest.fixture(scope="session")
def checkout() -> Path:
    """Return the folder of the repository."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep settings of the developer's shell out of the tests."""
    if "TEMPLATE_SERVICE_LOCAL_DIR" in os.environ:
        monkeypatch.delenv("TEMPLATE_SERVICE_LOCAL_DIR")
