"""A message as the worker's main process takes it: its envelope checked, its values hidden."""

import logging
import re
from functools import lru_cache
from typing import Any, Final, NamedTuple

from billiard.einfo import ExceptionInfo, ExceptionWithTraceback
from celery.exceptions import WorkerLostError
from celery.worker import request as celery_request
from celery.worker import state

from tasks.errors import PoisonMessage
from worker import dead_letters, envelope, rabbitmq
from worker.settings import load

logger = logging.getLogger(__name__)

BATCH: Final = "render.batch"


class Request(celery_request.Request):  # type: ignore[misc]  # Celery ships no types
    """A message on its way to a pool process.

    What is wrong with its envelope travels as ``refusal`` to the task base, which answers it.
    """

    _is_buried = False

    def __init__(self, message: Any, **options: Any) -> None:  # noqa: ANN401 - Celery's arguments
        rules = _rules()
        headers = envelope.mended(options.pop("headers", None) or message.headers)
        # Celery would send them along with a retry, where they are not true.
        headers = rabbitmq.without_broker_headers(headers)
        problems = envelope.take_out_problems(headers, rules.longest_wait)
        super().__init__(message, headers=headers, **options)
        args, kwargs, embed = self._payload
        problems += envelope.callback_problems(embed or {}, rules.callbacks)
        if problems:
            # Nothing that a refused message asks for is done, not even when it has failed.
            self._body = args, kwargs, dict.fromkeys(envelope.CALLBACK_FIELDS)
            self.__dict__["_payload"] = self._body
            self._content_type = self._content_encoding = None
        # What logs, events, inspect and Flower show in place of what the producer sent along.
        self._argsrepr = "()" if not args else f"({len(args)} items)"
        self._kwargsrepr = envelope.shown(kwargs)
        self.request_dict.update(
            argsrepr=self._argsrepr,
            kwargsrepr=self._kwargsrepr,
            refusal=envelope.refusal(problems, len(message.body), rules.bytes_of(self.name)),
        )
        self.time_limits = (None, None)

    def info(self, safe: bool = False) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002 - Celery's signature
        """Return what ``inspect`` may show: never the arguments themselves."""
        information: dict[str, Any] = super().info(safe=True)
        return information

    def revoked(self) -> bool:
        """Tell whether to skip the message, which Celery asks before it hands it to a process.

        One that came back too often is kept here and answered. A queue that counts deliveries would
        drop it after this one, or dead-letter it without an answer, as its owner has set it up.
        """
        if self._is_buried:
            return True
        returns = rabbitmq.deliveries(self.message.headers, self.message.delivery_info)
        if returns >= _rules().delivery_limit:
            self._bury(f"the message came back {returns} times", "it was never acknowledged")
        return self._is_buried or bool(super().revoked())

    def on_failure(
        self,
        exc_info: ExceptionInfo,
        send_failed_event: bool = True,  # noqa: FBT001, FBT002 - Celery's signature
        return_ok: bool = False,  # noqa: FBT001, FBT002 - Celery's signature
    ) -> None:
        """Make a dead letter of a message whose process died each time it was tried."""
        error = exc_info.exception
        if isinstance(error, ExceptionWithTraceback):
            error = error.exc
        tries = self._context.retries + 1
        if (
            not isinstance(error, WorkerLostError)
            or tries <= self.task.max_retries
            or self._success_was_stored()
        ):
            super().on_failure(exc_info, send_failed_event, return_ok)
            return
        self._bury(f"the message ended its process {tries} times", "its process ended each time")

    def _bury(self, told: str, problem: str) -> None:
        self._is_buried = True
        state.task_ready(self)
        poison = PoisonMessage.of(
            f"{told} and is a dead letter now",
            [{"path": "", "type": "poison", "message": problem}],
        )
        dead_letters.keep(self.app, self.message, f"{poison.code}: {poison.message}")
        self.task.backend.mark_as_failure(
            self.id, poison, request=self._context, store_result=self.store_errors
        )
        self.acknowledge()
        self.send_event("task-failed", exception=repr(poison), traceback="")
        logger.error("Task %s[%s] is a dead letter: %r", self.name, self.id, poison)


class _Rules(NamedTuple):
    longest_wait: float
    delivery_limit: int
    callbacks: re.Pattern[str]
    message_bytes: int
    batch_bytes: int

    def bytes_of(self, task: str) -> int:
        """Return how many bytes a message for a task may have."""
        return self.batch_bytes if task == BATCH else self.message_bytes


@lru_cache(maxsize=1)
def _rules() -> _Rules:
    settings = load()
    return _Rules(
        longest_wait=settings.visibility_timeout / 2,
        delivery_limit=settings.delivery_limit,
        callbacks=re.compile(settings.callbacks),
        message_bytes=settings.limit_message_bytes,
        batch_bytes=settings.limit_batch_bytes,
    )
