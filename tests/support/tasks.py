"""Tasks in the process of the test, on a real database and without a broker."""

import json
from typing import Any

from celery import Celery
from kombu.utils.json import dumps

from tasks.errors import ServiceError
from tests.support.producer import RefusedError


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
