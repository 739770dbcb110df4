"""Priorities on RabbitMQ: the highest first, and none where a queue was declared without."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.brokers.conftest import Broker

LATE = 10


@pytest.mark.parametrize(("name", "is_first"), [("declared", True), ("classic", False)])
def test_messages_are_taken_by_their_priority_where_the_queue_has_some(
    brokers: Mapping[str, Broker], tmp_path: Path, name: str, *, is_first: bool
) -> None:
    """The operator's queue has x-max-priority; the one that a worker creates is in order."""
    broker = brokers[name]
    with broker.working(tmp_path):
        pass  # creates the queues that are missing
    producer = broker.producer
    message = {"template_id": "no-such"}
    others = [producer.send("render.one", message, priority=0) for _ in range(LATE)]
    urgent = producer.send("render.one", message, priority=9)
    with broker.working(tmp_path):
        done = {each: producer.stored(each)["date_done"] for each in [*others, urgent]}
    place = sorted(done, key=lambda each: done[each]).index(urgent)
    # Two processes work at once, and one may take longer for its first message.
    assert place <= LATE // 2 if is_first else place >= LATE - 1
