"""Sending messages and reading answers, as generated calls use it."""

import asyncio
import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from copy import copy
from typing import Any, Final, Self

from celery import Celery

from template_service_client.errors import ERRORS
from template_service_client.exceptions import DefectError, NoAnswerError, ServiceError
from template_service_client.queues import QUEUES

TIMEOUT: Final = 30.0
FIRST_PAUSE: Final = 0.005
LONGEST_PAUSE: Final = 0.2
"""Seconds between two looks for an answer. A render takes milliseconds, a batch seconds."""


class Core:
    """Common parts of both clients: two Celery apps, one to send and one to read answers.

    Parameters
    ----------
    broker_url, result_backend
        Addresses; by default those of ``CELERY_BROKER_URL`` and ``CELERY_RESULT_BACKEND``.
    timeout
        Seconds that a call waits for its answer.
    configuration
        Other settings of Celery, such as ``broker_transport_options``.
    """

    def __init__(
        self,
        broker_url: str | None = None,
        result_backend: str | None = None,
        *,
        timeout: float = TIMEOUT,
        **configuration: Any,  # noqa: ANN401 - Celery's settings
    ) -> None:
        broker = broker_url or os.environ["CELERY_BROKER_URL"]
        # An app with a backend subscribes to each answer, in one connection for all threads.
        self.app = Celery("template-service-client", backend="disabled://", set_as_current=False)
        # CELERY_BROKER_URL would win over a broker that is passed to Celery.
        addresses = {"broker_read_url": broker, "broker_write_url": broker}
        self.app.conf.update(configuration | addresses)
        reader = Celery("template-service-client", set_as_current=False)
        reader.conf.update(configuration)
        reader.backend_cls = result_backend or os.environ["CELERY_RESULT_BACKEND"]
        self._reader = reader
        self._timeout = timeout
        self._options: dict[str, Any] = {}

    def with_options(self, *, timeout: float | None = None, **options: Any) -> Self:  # noqa: ANN401 - Celery's options
        """Return a client on the same connections whose calls have these options of Celery.

        Such as ``link``, ``link_error``, ``priority``, ``expires``, ``task_id`` and ``headers``.
        """
        client = copy(self)
        own = {"_options": self._options | options}
        vars(client).update(own if timeout is None else own | {"_timeout": timeout})
        return client

    def signature(
        self,
        task: str,
        message: Mapping[str, Any],
        **options: Any,  # noqa: ANN401 - Celery's options
    ) -> Any:  # noqa: ANN401 - Celery ships no types
        """Return Celery's signature of a call, with the queue of its task, for chains."""
        options = {"queue": QUEUES[task], **self._options, **options}
        return self.app.signature(task, kwargs=dict(message), options=options)

    def _send(self, task: str, message: Mapping[str, Any]) -> str:
        options = {"task_id": str(uuid.uuid4()), "queue": QUEUES[task], **self._options}
        self.app.send_task(task, kwargs=dict(message), **options)
        return str(options["task_id"])

    def _answer(self, task_id: str) -> dict[str, Any] | None:
        """Return the result of a message, None while there is none; raise its error."""
        backend = self._reader.backend
        stored = backend.get(backend.get_key_for_task(task_id))
        answer = None if stored is None else json.loads(stored)
        if answer is None or answer["status"] not in {"SUCCESS", "FAILURE", "REVOKED"}:
            return None
        if answer["status"] == "SUCCESS":
            result: dict[str, Any] = answer["result"]
            return result
        raise _error_of(answer["result"])

    def _pauses(self, task_id: str) -> Iterator[float]:
        """Yield the seconds before each next look, until the timeout."""
        end = time.monotonic() + self._timeout
        pause = FIRST_PAUSE
        while time.monotonic() < end:
            yield pause
            pause = min(LONGEST_PAUSE, pause * 1.5)
        raise NoAnswerError(task_id, self._timeout)


class SyncCore(Core):
    """Calls that block until there is an answer."""

    def send(self, task: str, message: Mapping[str, Any]) -> str:
        """Send a message; return its task id."""
        return self._send(task, message)

    def answer(self, task_id: str) -> dict[str, Any]:
        """Return the result of a message that was sent.

        Raises
        ------
        ServiceError
            The message was refused.
        NoAnswerError
            There was no answer within the timeout.
        """
        pauses = self._pauses(task_id)
        while (result := self._answer(task_id)) is None:
            time.sleep(next(pauses))
        return result

    def _call(self, task: str, message: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a generated type
        return self.answer(self.send(task, message))


class AsyncCore(Core):
    """Calls to be awaited. Celery's client blocks, and runs in threads of asyncio."""

    async def send(self, task: str, message: Mapping[str, Any]) -> str:
        """Send a message; return its task id."""
        return await asyncio.to_thread(self._send, task, message)

    async def answer(self, task_id: str) -> dict[str, Any]:
        """Return the result of a message that was sent; raises as :meth:`SyncCore.answer` does."""
        pauses = self._pauses(task_id)
        # No event in this process: the answer is written by another one.
        while (result := await asyncio.to_thread(self._answer, task_id)) is None:  # noqa: ASYNC110
            await asyncio.sleep(next(pauses))
        return result

    async def _call(self, task: str, message: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a generated type
        return await self.answer(await self.send(task, message))


def _error_of(failure: Any) -> Exception:  # noqa: ANN401 - any JSON
    """Return the exception for the result of a failed message."""
    match failure:
        case {"exc_message": [str() as code, str() as message, list() as details]}:
            return ERRORS.get(code, ServiceError)(code, message, details)
        case {"exc_type": str() as kind, "exc_message": message}:
            return DefectError(f"{kind}: {message}")
    return DefectError(str(failure))
