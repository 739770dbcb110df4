"""A stack for each test: what is broken here is not shared."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import QUICK
from tests.support.producer import Producer
from worker.local import LocalStack


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    """Give a stack whose data survive the end of a server, with few and quick tries."""
    stack = LocalStack(
        tmp_path,
        beat=False,
        flower=False,
        die_with_parent=True,
        environment=QUICK
        | {
            "TEMPLATE_SERVICE_MAX_RETRIES": "3",
            "TEMPLATE_SERVICE_DB_CONNECT_TIMEOUT": "2",
        },
    )
    with stack:
        yield stack


@pytest.fixture
def producer(stack: LocalStack) -> Iterator[Producer]:
    """Give a producer on the broker of ``stack``."""
    addresses = stack.addresses()
    producer = Producer(addresses["CELERY_BROKER_URL"], addresses["CELERY_RESULT_BACKEND"])
    yield producer
    producer.close()
