"""Task base: validate, open a session, run the service, commit, store the answer.

A task module declares what a message does::

    @write("template.create", CreateTemplate)
    def create(message: CreateTemplate, work: Work) -> Template: ...

and this module does the rest: validation, the transaction, the idempotency record, retries while a
server is unavailable, and an answer whose ``repr`` is safe to log.
"""

import errno
import hashlib
import json
import logging
import random
import time
import traceback
from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any, Final, TypeVar
from uuid import uuid4

import psycopg
from celery import Task, shared_task
from celery.exceptions import Reject, Retry, SoftTimeLimitExceeded, TaskPredicate
from sqlalchemy.exc import DBAPIError, StatementError

from db.errors import OperationError
from db.queries import idempotency
from db.session import is_transient
from tasks import answers, facts, runtime, stopping, time_limit
from tasks.errors import (
    IdempotencyConflict,
    InvalidMessage,
    MaintenanceFailed,
    ServiceError,
    Unavailable,
)
from tasks.events import log_event
from tasks.jobs import Job
from tasks.messages.base import KEY_LENGTH, Message, Result, WriteMessage, encodable, parse
from tasks.messages.maintenance import Maintain
from tasks.rendering.child import RenderProcessError
from tasks.runs import Run, notify, numbers, recorded
from tasks.runtime import Runtime
from tasks.time_limit import striking_anywhere
from tasks.work import Answer, Lookup, Work

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=Message)
W = TypeVar("W", bound=WriteMessage)
LONGEST_PAUSE: Final = 2.0
"""Seconds that a process waits before it returns a message to the broker."""


class UnexpectedDatabaseError(Exception):
    """Database error without a code of the contract: a defect of this service.

    It names the SQLSTATE (PostgreSQL, appendix A) and omits the server's message, which may quote
    values.
    """


class ServiceTask(Task):  # type: ignore[misc]  # Celery ships no types
    """Base class of all tasks."""

    abstract = True
    typing = False  # the message's model checks keywords, and names all that is wrong
    throws = (ServiceError,)
    message: type[Message]
    result: type[Result] | None
    """None of maintenance tasks, whose jobs are imported when they run."""
    execute: Callable[["ServiceTask", Any, Runtime], Answer]

    def serve(self, arguments: tuple[object, ...], keywords: Mapping[str, Any]) -> Answer:
        """Process one message. A result or error that is returned or raised is stored already.

        Raises
        ------
        ServiceError
            The message is refused.
        celery.exceptions.Retry
            A server is unavailable; the message is retried later.
        celery.exceptions.Reject
            The retry could not be sent; the broker redelivers the message.
        """
        is_message = not (self.request.called_directly or self.request.is_eager)
        began = time_limit.begin()
        self.request.facts = {}
        try:
            answer = self._process(arguments, keywords)
            answer.notes |= facts.of_process()
            if is_message:
                answers.succeed(self, answer)
        except Exception as error:
            outcome = self._outcome(error)
            if is_message and not isinstance(outcome, TaskPredicate):
                outcome = self._stored(outcome)
            facts.complete(self.request.facts, outcome, began)
            if outcome is error:
                raise
            raise outcome from None
        return answer

    def _process(self, arguments: tuple[object, ...], keywords: Mapping[str, Any]) -> Answer:
        """Return the answer to a message, not stored yet."""
        if arguments:
            raise InvalidMessage.at(
                "args", "positional", "only keyword arguments are allowed", "must be empty"
            )
        process = runtime.current()
        message = parse(self.message, keywords, process.configuration.limits)
        self.request.facts |= facts.of_message(message)
        return type(self).execute(self, message, process)

    def _outcome(self, error: Exception) -> Exception:
        """Return the exception for Celery: a refusal, a defect, or a retry."""
        if isinstance(error, ServiceError | TaskPredicate):
            return error
        # These frames hold the failed session, which must not keep its connection and locks until
        # the next garbage collection.
        traceback.clear_frames(error.__traceback__)
        if isinstance(error, answers.NotAnsweredError):
            return self._retry_unanswered(error)
        if (cause := transient_cause(error)) is not None:
            return self._retry_or_unavailable(cause)
        original = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(original, psycopg.Error):
            return UnexpectedDatabaseError(f"SQLSTATE {original.sqlstate}")
        return error

    def _stored(self, error: Exception) -> Exception:
        """Store an error as the answer; return it, or the retry if it cannot be stored."""
        try:
            answers.fail(self, error)
        except (answers.NotAnsweredError, MemoryError) as refused:
            return self._retry_unanswered(refused)
        return error

    def idempotency_key(self, message: WriteMessage) -> tuple[str, str]:
        """Return the idempotency key of a write and the path it came from."""
        if message.idempotency_key is not None:
            return message.idempotency_key, "idempotency_key"
        key = self.request.id or str(uuid4())
        if len(key) > KEY_LENGTH or "\x00" in key or not encodable(key):
            raise InvalidMessage.at(
                "id",
                "idempotency_key",
                "the task id cannot be an idempotency key",
                f"expected 1 to {KEY_LENGTH} characters without U+0000",
            )
        return key, "id"

    def _retry_or_unavailable(self, cause: str) -> Exception:
        """Return a retry, or ``unavailable`` after the last one."""
        policy = runtime.current().configuration.retry
        # The count comes in a header, so it may be any number.
        tries = min(max(self.request.retries, 0), policy.most)
        error = Unavailable.at(
            "", "unavailable", f"{cause} in {policy.most + 1} tries", "send the message again later"
        )
        if self.request.called_directly or tries >= policy.most:
            return error
        seconds = min(policy.longest, policy.backoff * 2**tries)
        return self._retry(tries + 1, seconds, error, cause)

    def _retry_unanswered(self, error: Exception) -> Exception:
        """Return a retry for a message whose answer could not be stored.

        Unlimited, as no error can be stored either; it does not count as one of the retries that
        the work itself has.
        """
        log_event(
            logger,
            "answer_not_stored",
            level=logging.WARNING,
            task=self.name,
            id=self.request.id,
            error=str(error),
        )
        if stopping.is_begun() and not self.request.called_directly:
            # To send the message again may take as long as to store its answer did, and the worker
            # waits. Nothing is acknowledged: the next worker gets it.
            rejected: Exception = Reject("the worker is stopping", requeue=True)
            return rejected
        seconds = min(answers.PATIENCE_SECONDS, runtime.current().configuration.retry.longest)
        # The server's message is for the log only; this one is for Flower, too.
        later = answers.NotAnsweredError("the answer cannot be stored yet")
        return self._retry(self.request.retries, seconds, later, str(later))

    def _retry(self, retries: int, seconds: float, error: Exception, cause: str) -> Exception:
        """Send the message again with a delay; return the exception to raise for Celery."""
        # Jitter: a thousand messages must not return at the same moment.
        seconds *= random.uniform(0.5, 1)  # noqa: S311 - no secret
        signature = self.signature_from_request(
            self.request, queue=self._queue(), countdown=seconds, retries=retries
        )
        if not self.request.is_eager:
            try:
                signature.apply_async(retry_policy=answers.PUBLISHING, serializer=answers.COMPACT)
            except Exception as refused:  # noqa: BLE001 - whatever it is, the message stays
                logger.warning("The broker did not accept a retry: %s", refused)
                # The broker may redeliver it at once.
                time.sleep(min(seconds, LONGEST_PAUSE))
                rejected: Exception = Reject(str(refused), requeue=True)
                return rejected
        log_event(
            logger,
            "task_retry",
            level=logging.WARNING,
            task=self.name,
            id=self.request.id,
            retries=retries,
            seconds=seconds,
            cause=cause,
        )
        retry: Exception = Retry(
            exc=error, when=seconds, is_eager=self.request.is_eager, sig=signature
        )
        return retry

    def _queue(self) -> str:
        """Return the queue for a retry: the message's own, if it is one of this service.

        The name comes from a header; in a queue without a consumer the message would be lost.
        """
        name = (self.request.delivery_info or {}).get("routing_key")
        known = {queue.name for queue in self.app.conf.task_queues or ()}
        if name in known:
            return str(name)
        route = self.app.amqp.router.route({}, self.name)
        return str(route["queue"].name)


def transient_cause(error: BaseException) -> str | None:
    """Return the cause of a transient failure, or None.

    It begins a sentence that ends with the number of tries.
    """
    cause = error.orig if isinstance(error, StatementError) else error
    if isinstance(cause, SoftTimeLimitExceeded):
        return "the task was not done within its time limit"
    if isinstance(cause, MemoryError):
        return "there was not enough memory"
    if isinstance(cause, OSError) and cause.errno in {errno.EMFILE, errno.ENFILE}:
        return "there were too many open files"
    if isinstance(cause, RenderProcessError):
        return "the render process did not answer"
    return "the database did not answer" if is_transient(error) else None


def write(name: str, model: type[W], **options: Any) -> Callable[..., Any]:  # noqa: ANN401 - Celery's options
    """Declare a task that writes, once for each idempotency key."""

    def execute(
        self: ServiceTask, do: Callable[[W, Work], Result], message: W, process: Runtime
    ) -> Answer:
        key, path = self.idempotency_key(message)
        content = hashlib.sha256(json.dumps(message.content(), sort_keys=True).encode()).digest()
        with process.writing() as session:
            stored = idempotency.claim(session, key, name, content)
            if stored is not None:
                if (stored.task, stored.content_sha256) != (name, content):
                    raise IdempotencyConflict.of_key(path)
                return Answer(stored.result)
            result = do(message, Work(session, process)).model_dump(mode="json")
            idempotency.complete(session, key, result)
            session.commit()
        return Answer(result)

    return _declare(name, model, execute, options)


def read(name: str, model: type[M], **options: Any) -> Callable[..., Any]:  # noqa: ANN401 - Celery's options
    """Declare a task that reads one state of the database."""

    def execute(
        _: ServiceTask, do: Callable[[M, Work], Result], message: M, process: Runtime
    ) -> Answer:
        with process.reading() as session:
            return Answer(do(message, Work(session, process)).model_dump(mode="json"))

    return _declare(name, model, execute, options)


def lookup(
    name: str,
    model: type[M],
    *,
    result: type[Result] | None = None,
    **options: Any,  # noqa: ANN401 - Celery's options
) -> Callable[..., Any]:
    """Declare a task that reads in single statements and writes nothing.

    ``result`` describes the answer of a function that returns it as JSON.
    """

    def execute(
        _: ServiceTask, do: Callable[[M, Lookup], Result | Answer], message: M, process: Runtime
    ) -> Answer:
        with process.statements() as connection:
            answer = do(message, Lookup(connection, process))
        if isinstance(answer, Answer):
            return answer
        # Members that a type of template does not have are omitted, not null.
        return Answer(answer.model_dump(mode="json", exclude_unset=True))

    return _declare(name, model, execute, options, result)


def maintenance(job: Job) -> object:
    """Declare the task of a job of maintenance, which opens its own connections."""

    def execute(self: ServiceTask, _: object, message: Maintain, process: Runtime) -> Answer:
        run_id = self.request.id or str(uuid4())
        try:
            result = recorded(job.name, run_id, message, process, do)
        except OperationError as error:
            if not message.dry_run:
                notify(process.configuration, job.name, run_id, error)
            raise MaintenanceFailed.because(error.kind, error.message, error.remedy) from None
        except Exception as error:
            is_retried = transient_cause(error) is not None and (
                self.request.retries < process.configuration.retry.most
            )
            if not (message.dry_run or is_retried):
                notify(process.configuration, job.name, run_id, error)
            raise
        return Answer(result, figures=numbers(result))

    def do(message: Maintain, run: Run) -> Result:
        with striking_anywhere(job.time_limit_setting):
            return job.function()(message, run)

    do.__doc__ = job.summary
    return _declare(job.name, Maintain, execute, {})(do)


def _declare(
    name: str,
    model: type[Message],
    execute: Callable[..., Answer],
    options: Mapping[str, Any],
    result: type[Result] | None = None,
) -> Callable[..., Any]:
    def decorate(do: Callable[[Any, Any], Result | Answer]) -> object:
        # Positional only: a producer's keyword "self" must be refused, not raise TypeError.
        def run(self: ServiceTask, /, *arguments: object, **keywords: object) -> Answer:
            return self.serve(arguments, keywords)

        returned = signature(do).return_annotation
        is_model = issubclass(returned, Result) and returned is not Result
        run.__doc__ = do.__doc__
        run.__module__ = do.__module__
        return shared_task(
            run,
            name=name,
            bind=True,
            base=ServiceTask,
            message=model,
            result=returned if is_model else result,
            execute=lambda self, message, process: execute(self, do, message, process),
            **options,
        )

    return decorate
