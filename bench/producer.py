"""A producer that can fill a queue and see when it has been worked off."""

import time
import uuid
from typing import Any, Final

from celery import Celery

NOOP_QUEUE: Final = "noop"
NOOP_TASK: Final = "bench.noop"
OWN_QUEUE: Final = "own-noop"
OWN_TASK: Final = "bench.own_noop"
POLL_SECONDS: Final = 0.005
PATIENCE_SECONDS: Final = 300.0


class Producer:
    """Sends messages to the stack that is measured."""

    def __init__(self, app: Celery) -> None:
        self.app = app
        self._results = app.backend.client

    def call(self, task: str, keywords: dict[str, Any], queue: str = "templates") -> Any:  # noqa: ANN401 - any answer
        """Send a message and return its answer."""
        result = self.app.send_task(task, kwargs=keywords, queue=queue)
        try:
            return result.get(timeout=60)
        finally:
            result.forget()

    def latency(self, task: str, keywords: dict[str, Any], queue: str) -> float:
        """Return the seconds from sending a message to having its answer."""
        start = time.perf_counter()
        self.call(task, keywords, queue)
        return time.perf_counter() - start

    def fill(self, task: str, messages: list[dict[str, Any]], queue: str) -> None:
        """Put messages on a queue."""
        with self.app.producer_pool.acquire(block=True) as producer:
            for keywords in messages:
                self.app.send_task(
                    task,
                    kwargs=keywords,
                    queue=queue,
                    task_id=str(uuid.uuid4()),
                    producer=producer,
                    ignore_result=False,
                )

    def rate(self, task: str, messages: list[dict[str, Any]], queue: str, worker: str) -> float:
        """Return answers per second of a worker that finds ``messages`` on its queue.

        The queue is filled while nobody takes from it, so that the producer's own work is not
        measured; the first tenth of the answers is left out.
        """
        control = self.app.control
        control.cancel_consumer(queue, destination=[worker], reply=True, timeout=5)
        self._results.flushdb()
        self.fill(task, messages, queue)
        control.add_consumer(queue, destination=[worker], reply=False)
        first = len(messages) // 10
        self._wait(first)
        counted, start = self._results.dbsize(), time.perf_counter()
        self._wait(len(messages))
        seconds = time.perf_counter() - start
        self._results.flushdb()
        return float((len(messages) - counted) / seconds)

    def drain(self, queue: str) -> None:
        """Wait until a queue is empty and its answers are there, and forget them."""
        with self.app.connection_for_write() as connection:
            channel = connection.default_channel
            end = time.monotonic() + PATIENCE_SECONDS
            while channel.queue_declare(queue=queue, passive=False).message_count:
                if time.monotonic() > end:
                    raise TimeoutError("the worker does not work off its queue")
                time.sleep(POLL_SECONDS)
        time.sleep(1)
        self._results.flushdb()

    def _wait(self, answers: int) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while self._results.dbsize() < answers:
            if time.monotonic() > end:
                raise TimeoutError("the worker does not work off its queue")
            time.sleep(POLL_SECONDS)
