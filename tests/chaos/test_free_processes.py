"""A process that is free gets a message, whatever the others are busy with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.cluster.processes import wait_until
from tests.factories import templates
from tests.support.chaos.faults import close_connections, held_row, waiting_backends
from tests.support.chaos.stacks import ChaosStack
from tests.support.stacks import QUICK

PROCESSES = 4
LASTING = {
    "TEMPLATE_SERVICE_DB_STATEMENT_TIMEOUT": "120",
    "TEMPLATE_SERVICE_TASK_SOFT_TIME_LIMIT": "150",
    "TEMPLATE_SERVICE_TASK_TIME_LIMIT": "200",
}
"""Tasks that wait for a lock go on doing so for longer than the test takes on a busy machine."""


class WideStack(ChaosStack):
    """A stack whose worker has more processes, none of which reserves a message."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, QUICK | LASTING | {"TEMPLATE_SERVICE_PREFETCH": "1"})
        self.worker_options.append(f"--concurrency={PROCESSES}")


@pytest.fixture
def wide(tmp_path: Path) -> Iterator[WideStack]:
    """Give such a stack."""
    with WideStack(tmp_path) as stack:
        yield stack


def test_a_free_process_gets_a_message_while_all_others_are_busy(wide: WideStack) -> None:
    """Also after the connection to the broker was lost, which leaves them at work."""
    with wide.direct_producer() as producer:
        template = templates.created(producer, type="sms")
        messages = [{"template_id": template, "body": f"Hello {n}"} for n in range(PROCESSES - 1)]
        with held_row(wide, template):
            sent = [producer.send("version.publish", message) for message in messages]
            assert wait_until(lambda: waiting_backends(wide) == len(sent), 20)
            assert wide.answers_probe(producer)
            close_connections(wide)
            assert wide.answers_probe(producer)
            assert waiting_backends(wide) == len(sent), "they did not last as long as this"
        for task_id in sent:
            producer.answer(task_id)
