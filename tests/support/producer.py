"""A producer as other services are: it knows names and JSON, and none of this project's code."""

import json
import uuid
from typing import Any

from celery import Celery
from celery.result import AsyncResult

QUEUES = {"render": "render", "maintenance": "maintenance"}


class RefusedError(Exception):
    """The answer was a FAILURE; ``code`` and ``details`` are as any client language reads them."""

    def __init__(self, code: str, message: str, details: list[dict[str, Any]]) -> None:
        super().__init__(code, message, details)
        self.code = code
        self.message = message
        self.details = details

    @property
    def paths(self) -> set[str]:
        """The places in the message that were wrong."""
        return {detail["path"] for detail in self.details}


class Producer:
    """Sends messages and waits for answers."""

    def __init__(self, broker: str, backend: str) -> None:
        self.app = Celery("producer", backend=backend, set_as_current=False)
        # Not as an argument: CELERY_BROKER_URL, if a developer's shell has it, wins over that.
        self.app.conf.update(broker_read_url=broker, broker_write_url=broker)

    def send(
        self,
        task: str,
        keywords: dict[str, Any] | None = None,
        *,
        task_id: str | None = None,
        **options: Any,
    ) -> AsyncResult:
        """Put a message on the task's queue; return its result to be."""
        return self.app.send_task(
            task,
            kwargs=keywords or {},
            queue=options.pop("queue", None) or QUEUES.get(task.split(".")[0], "templates"),
            task_id=task_id or str(uuid.uuid4()),
            **options,
        )

    def answer(self, result: AsyncResult, timeout: float = 30) -> dict[str, Any]:
        """Return the answer of a message that was sent, or raise :class:`RefusedError`."""
        result.get(timeout=timeout, propagate=False)
        # What the backend holds, byte for byte, is all that a client of another language has.
        stored = json.loads(self.app.backend.client.get(f"celery-task-meta-{result.id}"))
        if stored["status"] == "SUCCESS":
            answer: dict[str, Any] = stored["result"]
            return answer
        assert stored["status"] == "FAILURE", stored["status"]
        raise RefusedError(*stored["result"]["exc_message"])

    def call(self, task: str, keywords: dict[str, Any] | None = None, **options: Any) -> Any:
        """Send a message and return its answer."""
        return self.answer(self.send(task, keywords, **options))

    def close(self) -> None:
        """Close the connections."""
        self.app.backend.client.close()
        self.app.close()
