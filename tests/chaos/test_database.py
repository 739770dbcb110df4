"""The database goes away: writes are tried again or read back, and never done twice."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.factories import templates
from tests.support.producer import Producer, RefusedError
from worker.local import LocalStack


def test_a_database_that_is_away_ends_in_unavailable(producer: Producer, stack: LocalStack) -> None:
    """After all tries, for reads and writes; and the same message succeeds once it is back."""
    template = templates.published(producer, "Hello", type="sms")
    stack.postgres.stop()
    messages: list[tuple[str, dict[str, Any]]] = [
        ("render.one", {"template_id": template}),
        ("template.get", {"template_id": template}),
        ("template.delete", {"template_id": template}),
    ]
    sent = [producer.send(task, keywords) for task, keywords in messages]
    for task_id in sent:
        with pytest.raises(RefusedError) as refused:
            producer.answer(task_id, timeout=60)
        assert refused.value.code == "unavailable"
    stack.postgres.start()
    for task, keywords in messages:
        producer.call(task, keywords)


# Three quick tries are over before a busy machine has recovered a database; those that are the
# default, over half a minute, are what is promised.
@pytest.mark.parametrize("environment", [{}], ids=["default settings"])
def test_a_restart_under_load_fails_nothing_and_doubles_nothing(
    producer: Producer, stack: LocalStack
) -> None:
    """Publishes and renders go on through a restart: every one is answered, each once."""
    template = templates.published(producer, "Hello", type="sms")
    restarted = threading.Event()

    def work(number: int) -> int:
        published = 0
        while not restarted.is_set() or published < 5:
            message = {"template_id": template, "body": f"Hello {number}"}
            producer.call("version.publish", message, timeout=60)
            producer.call("render.one", {"template_id": template}, timeout=60)
            published += 1
        return published

    with ThreadPoolExecutor(4) as threads:
        working = [threads.submit(work, number) for number in range(4)]
        stack.postgres.kill()
        stack.postgres.start()
        restarted.set()
        published = sum(each.result() for each in working)
    versions = templates.versions(producer, template)
    assert len(versions) == published + 1
    assert [version["is_current"] for version in versions] == [True] + [False] * published
