"""The blocks about RabbitMQ in docs/messages.md and docs/operations.md."""

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from db.cluster.processes import wait_until
from tests.brokers.conftest import TIMEOUT, Broker, letters, run_producer
from tests.brokers.servers import RABBITMQ, RabbitMQ, program
from tests.support.documents import blocks
from worker.queues import QueueName


def test_the_documented_producer_reports_a_missing_queue(
    alone: Broker, documented: tuple[str, str]
) -> None:
    """Where no worker was started yet."""
    done = run_producer(documented[0], alone)
    assert done.returncode != 0
    assert "NotFound" in done.stderr
    assert "templates" in done.stderr


def test_the_documented_policy_dead_letters_from_existing_queues(
    brokers: Mapping[str, Broker], node: RabbitMQ, checkout: Path
) -> None:
    """A queue that was declared beforehand, with a limit of its own, keeps what it gives up."""
    broker = brokers["declared"]
    (block,) = (
        block for block in blocks(checkout / "docs" / "operations.md") if block.role == "rabbitmq"
    )
    folder = Path(program(RABBITMQ)).parent
    command = block.text.replace("--vhost /", f"--vhost {broker.name}")
    assert shlex.split(command)[0] == "rabbitmqctl"
    subprocess.run(
        ["/bin/sh", "-euc", command],
        check=True,
        capture_output=True,
        env=os.environ | node.control | {"PATH": f"{folder}:{os.defpath}"},
    )
    queue = QueueName.TEMPLATES.value
    sent = broker.producer.send("template.get", {"template_id": "x"}, queue=queue)
    taken = 0
    while not broker.waiting("dead-letters") and taken < 20:
        taken += len(broker.take(queue))
    assert wait_until(lambda: [letter["id"] for letter in letters(broker)] == [sent], TIMEOUT)
    assert taken == 6  # the first delivery, and five times more
    broker.works("dead-letters", "discard", "--all", "--yes")
