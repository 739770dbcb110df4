"""The database stays away: every message is answered in the end, and may be sent again."""

from typing import Any

import pytest

from tests.factories import templates
from tests.support.producer import Producer, RefusedError
from worker.local import LocalStack


def test_an_unavailable_database_ends_in_the_error_unavailable(
    producer: Producer, stack: LocalStack
) -> None:
    """After all tries, for reads and writes; and the same message succeeds once it is back."""
    template = templates.published(producer, "Hello", type="sms")
    stack.postgres.stop()
    messages: list[tuple[str, dict[str, Any]]] = [
        ("render.one", {"template_id": template}),
        ("template.get", {"template_id": template}),
        ("template.delete", {"template_id": template}),
    ]
    try:
        sent = [producer.send(task, keywords) for task, keywords in messages]
        for task_id in sent:
            with pytest.raises(RefusedError) as refused:
                producer.answer(task_id, timeout=60)
            assert refused.value.code == "unavailable"
    finally:
        stack.postgres.start()
    for task, keywords in messages:
        producer.call(task, keywords)
