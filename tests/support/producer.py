"""A producer as other services are: it sends names and JSON, and uses no model of this project."""

import json
import time
import uuid
from typing import Any, Self

import redis
from celery import Celery

from worker.local import LocalStack

POLL_SECONDS = 0.005
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

    def __init__(
        self, broker: str, backend: str, transport_options: dict[str, Any] | None = None
    ) -> None:
        # Answers are read from the backend as a client of another language would read them.
        self.app = Celery("producer", backend="disabled://", set_as_current=False)
        # Not as an argument: CELERY_BROKER_URL, if a developer's shell has it, wins over that.
        self.app.conf.update(broker_read_url=broker, broker_write_url=broker)
        # kombu keeps one pool of connections for each address and options, whatever the app; once
        # closed it stays so. An option that nobody reads makes it this producer's own.
        own = {"producer": uuid.uuid4().hex}
        self.app.conf.broker_transport_options = own | (transport_options or {})
        self.backend = redis.Redis.from_url(backend)

    @classmethod
    def of(cls, stack: LocalStack) -> Self:
        """Return a producer on the broker of ``stack``."""
        addresses = stack.addresses()
        return cls(addresses["CELERY_BROKER_URL"], addresses["CELERY_RESULT_BACKEND"])

    def __enter__(self) -> Self:
        """Return the producer; its connections are closed with the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def send(
        self,
        task: str,
        keywords: dict[str, Any] | None = None,
        *,
        task_id: str | None = None,
        **options: Any,  # noqa: ANN401 - Celery's options
    ) -> str:
        """Put a message on the task's queue; return its task id."""
        task_id = task_id or str(uuid.uuid4())
        queue = options.pop("queue", None) or QUEUES.get(
            task.split(".", maxsplit=1)[0], "templates"
        )
        self.app.send_task(task, kwargs=keywords or {}, queue=queue, task_id=task_id, **options)
        return task_id

    def stored(self, task_id: str, timeout: float = 120) -> dict[str, Any]:
        """Return what the result backend holds of a message once it has been worked on."""
        begin = time.monotonic()
        while (waited := time.monotonic() - begin) < timeout:
            answer = self.backend.get(f"celery-task-meta-{task_id}")
            if answer is not None:
                stored: dict[str, Any] = json.loads(answer)
                if stored["status"] in {"SUCCESS", "FAILURE"}:
                    return stored
            # An answer that takes long is not needed at once, and each look costs the workers time.
            time.sleep(min(max(POLL_SECONDS, waited / 10), 0.1))
        raise TimeoutError(f"no answer to {task_id} within {timeout} s")

    def answer(self, task_id: str, timeout: float = 30) -> dict[str, Any]:
        """Return the answer to a message that was sent, or raise :class:`RefusedError`."""
        stored = self.stored(task_id, timeout)
        if stored["status"] == "SUCCESS":
            answer: dict[str, Any] = stored["result"]
            return answer
        raise RefusedError(*stored["result"]["exc_message"])

    def call(
        self,
        task: str,
        keywords: dict[str, Any] | None = None,
        **options: Any,  # noqa: ANN401 - Celery's options
    ) -> dict[str, Any]:
        """Send a message and return its answer."""
        timeout = options.pop("timeout", 30)
        return self.answer(self.send(task, keywords, **options), timeout)

    def waiting(self, queue: str) -> int:
        """Return how many messages wait on a queue."""
        with self.app.connection_for_read() as connection:
            return int(connection.default_channel.client.llen(queue))

    def close(self) -> None:
        """Close the connections."""
        self.backend.close()
        self.app.pool.force_close_all()
        self.app.close()
