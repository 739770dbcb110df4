"""Messages for later: the broker keeps them, the worker does not."""

import json
import time
import uuid
from datetime import UTC, datetime, timedelta

from db.cluster.processes import wait_until
from tests.factories import templates
from tests.support.chaos.session import Chaos
from tests.support.envelopes import body_of, envelope

MEBIBYTE = 1024 * 1024
GROWTH = 12 * MEBIBYTE
"""Of the main process; kombu keeps every message of these in memory, at 10 KB each."""
START_SECONDS = 10
LOOKS_A_SECOND = 500


def test_many_delayed_messages_neither_fill_the_worker_nor_delay_its_start(chaos: Chaos) -> None:
    """They may wait for half an hour, and others are answered in the meantime."""
    count = chaos.times(2_000, 20_000)
    try:
        chaos.stack.begin_anew()
        probe(chaos)
        before = memory(chaos)
        push_delayed(chaos, count, timedelta(minutes=20))
        # What waits after them on the queue waits for no more than a look at each.
        assert wait_until(lambda: waiting(chaos) == 0, chaos.within(10 + count / LOOKS_A_SECOND))
        probe(chaos)
        growth = memory(chaos) - before
        chaos.note(f"{count} delayed messages: the worker grew by {growth / MEBIBYTE:.1f} MiB")
        assert growth < GROWTH
        chaos.stack.kill_worker()
        begun = time.monotonic()
        chaos.stack.start_worker()
        probe(chaos)
        seconds = time.monotonic() - begun
        chaos.note(f"with {count} delayed messages a start took {seconds:.1f} s")
        assert seconds < chaos.within(START_SECONDS)
    finally:
        chaos.stack.begin_anew()


def test_delayed_messages_are_run_once_when_they_are_due(chaos: Chaos) -> None:
    """Also those whose worker was killed meanwhile."""
    template = templates.created(chaos.producer, type="sms")
    due = datetime.now(UTC) + timedelta(seconds=6)
    messages = [{"template_id": template, "body": f"Hello {n}"} for n in range(20)]
    sent = [chaos.producer.send("version.publish", each, eta=due) for each in messages]
    assert wait_until(lambda: waiting(chaos) == 0, 20)
    chaos.stack.kill_worker()
    chaos.stack.start_worker()
    ends = [chaos.producer.stored(task_id, timeout=60)["date_done"] for task_id in sent]
    assert min(datetime.fromisoformat(end) for end in ends) >= due
    assert len(templates.versions(chaos.producer, template)) == 20


def push_delayed(chaos: Chaos, count: int, delay: timedelta) -> None:
    """Put messages on a queue that are to be worked on later."""
    eta = (datetime.now(UTC) + delay).isoformat()
    body = body_of({"template_id": "no-such-template"})
    with chaos.stack.broker as broker, broker.pipeline(transaction=False) as pipeline:
        for _ in range(count):
            _, message = envelope("render.one", body, headers={"eta": eta})
            pipeline.lpush("render", json.dumps(message))
        pipeline.execute()


def waiting(chaos: Chaos) -> int:
    """Return how many messages nobody has looked at."""
    with chaos.stack.broker as broker:
        return int(broker.llen("render")) + int(broker.llen("templates"))


def probe(chaos: Chaos) -> None:
    """See that a message is answered."""
    chaos.producer.stored(
        chaos.producer.send("template.get", {"template_id": f"no-such-{uuid.uuid4().hex}"}),
        timeout=60,
    )


def memory(chaos: Chaos) -> int:
    """Return what the worker's main process occupies, in bytes."""
    return int(chaos.stack.node().memory_info().rss)
