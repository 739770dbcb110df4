"""A stack for each test: what is broken here is not shared."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.producer import Producer
from tests.support.stacks import QUICK, small_stack
from worker.local import LocalStack


@pytest.fixture
def environment() -> dict[str, str]:
    """Return settings with few and quick tries; a test may ask for others."""
    return QUICK | {
        "TEMPLATE_SERVICE_MAX_RETRIES": "3",
        "TEMPLATE_SERVICE_DB_CONNECT_TIMEOUT": "2",
    }


@pytest.fixture
def stack(tmp_path: Path, environment: dict[str, str]) -> Iterator[LocalStack]:
    """Give a stack whose data survive the end of a server."""
    with small_stack(tmp_path, durable=True, environment=environment) as stack:
        yield stack


@pytest.fixture
def producer(stack: LocalStack) -> Iterator[Producer]:
    """Give a producer on the broker of ``stack``."""
    with Producer.of(stack) as producer:
        yield producer
