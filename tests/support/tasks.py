"""Tasks in the process of the test, on a real database."""

import json
import uuid
from typing import Any, NamedTuple

from celery import Celery
from celery.app.trace import build_tracer
from kombu.utils.json import dumps

from tasks.errors import ServiceError
from tests.support.producer import RefusedError


class Delivery(NamedTuple):
    """What a pool process tells its worker about a message.

    Attributes
    ----------
    state
        SUCCESS and FAILURE are answers; RETRY and REJECTED mean that the message comes again.
    value
        The answer, the error or the exception that stands for the next delivery.
    """

    state: str
    value: Any


class Tasks:
    """Works on messages as a worker does."""

    def __init__(self, app: Celery) -> None:
        self.app = app

    def call(
        self, task: str, keywords: dict[str, Any] | None = None, *, task_id: str | None = None
    ) -> dict[str, Any]:
        """Return the answer to a message, after a trip through JSON."""
        result = self.app.tasks[task].apply(kwargs=keywords or {}, task_id=task_id)
        if isinstance(result.result, ServiceError):
            raise RefusedError(*json.loads(dumps(result.result.args)))
        if isinstance(result.result, BaseException):
            raise result.result
        answer: dict[str, Any] = json.loads(dumps(result.result))
        return answer

    def deliver(
        self,
        task: str,
        keywords: dict[str, Any] | None = None,
        *,
        task_id: str | None = None,
        **request: Any,  # noqa: ANN401 - what a worker's main process makes of headers
    ) -> Delivery:
        """Work on a message as a pool process does: answers are stored, next tries are sent."""
        known = self.app.tasks[task]
        queue = self.app.amqp.router.route({}, task)["queue"].name
        task_id = task_id or str(uuid.uuid4())
        given = {
            "id": task_id,
            "task": task,
            "retries": 0,
            "is_eager": False,
            "delivery_info": {"exchange": "", "routing_key": queue},
        }
        traced = build_tracer(task, known, app=self.app)(
            task_id, (), keywords or {}, given | request
        )
        if traced.info is None:
            return Delivery("SUCCESS", traced.retval)
        return Delivery(traced.info.state, traced.info.retval)
