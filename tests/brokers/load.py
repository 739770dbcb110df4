"""A load of writes and renders, each of which has to be answered, and done once."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from db.cluster.processes import wait_until
from tests.brokers.conftest import TIMEOUT
from tests.factories import templates
from tests.support.producer import Producer

BURST: Final = 10
# A producer that sends again until the broker is back.
UNTIL_BACK: Final = {
    "max_retries": 120,
    "interval_start": 0,
    "interval_step": 0.1,
    "interval_max": 0.5,
}


class Load(threading.Thread):
    """A producer that publishes and renders without pause; every message it sent is known."""

    def __init__(self, producer: Producer) -> None:
        super().__init__()
        self.over = threading.Event()
        self.producer = producer
        self.template = templates.created(self.producer, type="sms")
        self.producer.call("version.publish", {"template_id": self.template, "body": "Hello"})
        self.writes: list[str] = []
        self.reads: list[str] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Send until ``over`` is set."""
        message = {"template_id": self.template}
        try:
            while not self.over.is_set():
                for _ in range(BURST):
                    body = f"Hello {uuid.uuid4().hex}"
                    self.writes.append(self._send("version.publish", message | {"body": body}))
                    self.reads += [self._send("render.one", message) for _ in range(4)]
                # Enough to be busy with, and not more to check in the end than that.
                self.over.wait(1)
        except BaseException as error:  # noqa: BLE001 - raised where the load is stopped
            self.failure = error

    def stop(self) -> None:
        """Stop sending."""
        self.over.set()
        self.join()
        if self.failure is not None:
            raise self.failure

    def check(self) -> None:
        """Every message was answered, and every write was done once."""
        for task_id in (*self.writes, *self.reads):
            stored = self.producer.stored(task_id, TIMEOUT)
            assert stored["status"] == "SUCCESS", stored["result"]
        versions = templates.versions(self.producer, self.template)
        assert int(versions[0]["version"]) == len(self.writes) + 1

    def _send(self, task: str, message: dict[str, Any]) -> str:
        return self.producer.send(task, message, retry_policy=UNTIL_BACK)


@contextmanager
def load(producer: Producer) -> Iterator[Load]:
    """Yield a load that runs, stop it, and check that all of it was answered."""
    load = Load(producer)
    load.start()
    try:
        yield load
    finally:
        load.stop()
    load.check()


def grows(messages: list[str], by: int = 20) -> bool:
    """Wait until so many more were sent."""
    before = len(messages)
    return wait_until(lambda: len(messages) >= before + by, TIMEOUT)
