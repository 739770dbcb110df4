"""A producer on the broker of the settings: many messages in flight, answers as they come."""

import json
import time
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, Self

from kombu import Queue
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from db.addresses import without_credentials
from db.errors import Kind, OperationError
from tasks.errors import Problem
from worker.celery_settings import celery_settings
from worker.envelope.refusals import UNKNOWN_TASK
from worker.queues import CONSUMED, ROUTES
from worker.results import ProducerApp, backend_url
from worker.settings import Settings

WINDOW: Final = 40
"""Messages in flight: enough that a worker of many processes never waits for the next one."""

ANSWER_SECONDS: Final = 60
"""Without any answer, after which no worker is believed to be there: twice a task's time limit."""

_POLL_SECONDS: Final = 0.004
_RETRIES: Final = {"max_retries": 3, "interval_start": 0, "interval_step": 0.5}
_ERRORS: Final = (OperationalError, RedisError, OSError)


class Refusal(Exception):  # noqa: N818 - it is the answer to a message
    """A message was refused: ``code``, ``message`` and ``details`` of the contract."""

    def __init__(self, code: str, message: str, details: list[Problem]) -> None:
        super().__init__(code, message, details)
        self.code = code
        self.message = message
        self.details = details

    def __str__(self) -> str:
        """Return the sentence and every problem."""
        lines = [f"{self.code}: {self.message}"]
        for problem in self.details:
            place = f", line {problem['line']}" if "line" in problem else ""
            lines.append(f"{problem['path']}{place}: {problem['message']}")
        return "\n".join(lines)


class Message(NamedTuple):
    """A message to send; ``key`` comes back with its answer."""

    key: str
    task: str
    keywords: Mapping[str, Any]


class Producer:
    """Sends messages and waits for their answers.

    Use it as a context manager. It opens connections to the broker and to the result backend, and
    none to the database.
    """

    def __init__(self, settings: Settings) -> None:
        options = celery_settings(settings)
        # As docs/messages.md has it for RabbitMQ: a worker declares the queues, no producer.
        options["task_queues"] = [Queue(name.value, no_declare=True) for name in CONSUMED]
        self._app = ProducerApp("template-service-producer", set_as_current=False)
        self._app.backend_cls = backend_url(settings.result_backend.get_secret_value())
        # CELERY_BROKER_URL of the environment would win over an argument.
        urls = dict.fromkeys(("broker_read_url", "broker_write_url"), options["broker_url"])
        self._app.conf.update(options | urls | {"task_publish_retry_policy": _RETRIES})
        self._broker = without_credentials(options["broker_url"])
        self._results = without_credentials(settings.result_backend.get_secret_value())

    def __enter__(self) -> Self:
        """Return the producer; its connections are closed with the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._app.close()

    def call(self, task: str, keywords: Mapping[str, Any]) -> dict[str, Any]:
        """Send one message and return its answer.

        Raises
        ------
        Refusal
            The message was refused.
        OperationError
            Broker, result backend or workers do not answer.
        """
        (answer,) = (answer for _, answer in self.stream([Message("", task, keywords)]))
        if isinstance(answer, Refusal):
            raise answer
        return answer

    def stream(
        self, messages: Iterable[Message], window: int = WINDOW
    ) -> Iterator[tuple[str, dict[str, Any] | Refusal]]:
        """Send messages, up to ``window`` ahead of the answers; yield each answer with its key.

        Answers come in any order.

        Raises
        ------
        OperationError
            Broker, result backend or workers do not answer.
        """
        left = deque(messages)
        waiting: dict[str, Message] = {}
        last = time.monotonic()
        while left or waiting:
            while left and len(waiting) < window:
                message = left.popleft()
                waiting[self._send(message)] = message
                last = time.monotonic()
            answers = self._answers(waiting)
            for task_id, stored in answers.items():
                message = waiting.pop(task_id)
                yield message.key, self.result(message, stored)
                last = time.monotonic()
            if answers:
                continue
            if time.monotonic() - last > ANSWER_SECONDS:
                raise OperationError(
                    "no_answer",
                    f"no worker has answered {waiting.popitem()[1].task} for {ANSWER_SECONDS} s",
                    "start a worker on this broker and retry; what was published stays",
                )
            time.sleep(_POLL_SECONDS)

    def stream_calls(
        self, task: str, messages: Mapping[str, Mapping[str, Any]]
    ) -> Iterator[tuple[str, dict[str, Any] | Exception]]:
        """Send messages of one task by key; yield each answer, or refusal, with its key."""
        yield from self.stream(Message(key, task, each) for key, each in messages.items())

    def _send(self, message: Message) -> str:
        task_id = str(uuid.uuid4())
        try:
            self._app.send_task(
                message.task,
                kwargs=dict(message.keywords),
                task_id=task_id,
                queue=_queue(message.task),
            )
        except _ERRORS as error:
            raise OperationError(
                Kind.BROKER_AWAY,
                f"the broker at {self._broker} does not answer: {_reason(error)}",
                "check CELERY_BROKER_URL and retry; what was published stays",
            ) from error
        return task_id

    def _answers(self, waiting: Mapping[str, Message]) -> dict[str, dict[str, Any]]:
        backend, ids = self._app.backend, list(waiting)
        try:
            values = backend.mget([backend.get_key_for_task(each) for each in ids])
        except _ERRORS as error:
            raise OperationError(
                "results_away",
                f"the result backend at {self._results} does not answer: {_reason(error)}",
                "check CELERY_RESULT_BACKEND and retry; what was published stays",
            ) from error
        stored = {
            task_id: json.loads(value)
            for task_id, value in zip(ids, values, strict=True)
            if value is not None
        }
        return {
            task_id: each
            for task_id, each in stored.items()
            if each["status"] in {"SUCCESS", "FAILURE"}
        }

    def result(self, message: Message, stored: Mapping[str, Any]) -> dict[str, Any] | Refusal:
        """Return a message's entry in the result backend.

        Raises
        ------
        OperationError
            The answer is not of the contract, or comes from an older service.
        """
        result = stored["result"]
        if stored["status"] == "SUCCESS":
            answer: dict[str, Any] = result
            return answer
        content = result.get("exc_message")
        if not isinstance(content, list) or len(content) != 3:  # noqa: PLR2004 - of the contract
            raise OperationError(
                "failed",
                f"{message.task} failed in the worker: {result.get('exc_type')}",
                "see the worker's log",
            )
        code, sentence, details = content
        if any(problem["type"] == UNKNOWN_TASK for problem in details):
            raise OperationError(
                "older_service",
                f"the service does not know {message.task}: it is older than this program",
                "update the workers, or use the template-service of their version",
            )
        return Refusal(code, sentence, details)


def _queue(task: str) -> str:
    """Return the queue of a task of the contract."""
    pattern = task if task in ROUTES else f"{task.partition('.')[0]}.*"
    return str(ROUTES[pattern]["queue"])


def _reason(error: BaseException) -> str:
    """Return the first line of an error, which has no password."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
