"""The one way in which a message is worked on: validate, session, do, commit, answer.

A task module declares what a message does::

    @write("template.create", CreateTemplate)
    def create(message: CreateTemplate, work: Work) -> Template: ...

and this module does the rest: the message's model, the transaction, the idempotency record, tries
again while a server is away, and an answer whose ``repr`` is safe to log.
"""

import hashlib
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import uuid4

import psycopg
from celery import Task, shared_task
from celery.exceptions import Reject, SoftTimeLimitExceeded
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from db.errors import OperationError
from db.queries import idempotency
from db.session import is_transient
from tasks import runtime
from tasks.errors import (
    IdempotencyConflict,
    InvalidMessage,
    MaintenanceFailed,
    ServiceError,
    Unavailable,
)
from tasks.messages.base import KEY_LENGTH, Message, Result, WriteMessage, encodable, parse
from tasks.runs import recorded
from tasks.runtime import Configuration, Runtime

M = TypeVar("M", bound=Message)
W = TypeVar("W", bound=WriteMessage)
SHOWN = (
    "template_id",
    "version",
    "language",
    "language_code",
    "rendered",
    "failed",
    "skipped",
    "deleted",
    "batches",
)


@dataclass(frozen=True, slots=True)
class Work:
    """What a task works with: a session that the base commits, and the process's runtime."""

    session: Session
    runtime: Runtime

    @property
    def configuration(self) -> Configuration:
        """Limits and defaults."""
        return self.runtime.configuration


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a task works with that stores nothing: a connection for single statements."""

    connection: psycopg.Connection
    runtime: Runtime

    @property
    def configuration(self) -> Configuration:
        """Limits and defaults."""
        return self.runtime.configuration


class Answer:
    """A result that is stored whole and shown in logs, events and Flower as ids and sizes.

    Parameters
    ----------
    payload
        The result, a JSON object; with ``stored`` what is shown of it.
    stored
        The result as JSON in UTF-8, where it was put together so; it is stored as it is.
    """

    def __init__(self, payload: Mapping[str, Any], stored: bytes | None = None) -> None:
        self._payload = payload
        self.stored = stored

    def __json__(self) -> Mapping[str, Any]:
        """Return the JSON object; kombu's encoder asks for it."""
        if self.stored is None:
            return self._payload
        result: dict[str, Any] = json.loads(self.stored)
        return result

    def __repr__(self) -> str:
        """Return ids and sizes, never a rendered text."""
        shown = [
            f"{key}={value}"
            for key in SHOWN
            if isinstance(value := self._payload.get(key), str | int)
        ]
        if isinstance(body := self._payload.get("body"), str):
            shown.append(f"characters={len(body)}")
        return f"<{' '.join(shown)}>"


class UnexpectedDatabaseError(Exception):
    """A database error that no code of the contract stands for: a defect of this service.

    It names the SQLSTATE (PostgreSQL, appendix A) and leaves out the server's words, which may
    hold what a producer sent.
    """


class ServiceTask(Task):  # type: ignore[misc]  # Celery ships no types
    """Base of all tasks."""

    abstract = True
    typing = False  # the message's model checks keywords, and names all that is wrong
    throws = (ServiceError,)
    message: type[Message]
    execute: Callable[["ServiceTask", Any, Runtime], Answer]

    def serve(self, arguments: tuple[object, ...], keywords: Mapping[str, Any]) -> Answer:
        """Answer one message.

        Raises
        ------
        ServiceError
            The message is refused.
        celery.exceptions.Retry
            A server is away; the message is tried again later.
        """
        if (refusal := getattr(self.request, "refusal", None)) is not None:
            raise refusal
        if arguments:
            raise InvalidMessage.of(
                "keyword arguments are the only ones allowed",
                [{"path": "args", "type": "positional", "message": "was expected to be empty"}],
            )
        process = runtime.current()
        message = parse(self.message, keywords, process.configuration.limits)
        try:
            return type(self).execute(self, message, process)
        except SoftTimeLimitExceeded:
            raise self._later(process, "the time limit of the task") from None
        except (SQLAlchemyError, psycopg.Error) as error:
            if is_transient(error):
                raise self._later(process, "the database") from None
            original = error.orig if isinstance(error, DBAPIError) else error
            if isinstance(original, psycopg.Error):
                raise UnexpectedDatabaseError(f"SQLSTATE {original.sqlstate}") from None
            raise

    def idempotency_key(self, message: WriteMessage) -> tuple[str, str]:
        """Return the key of a write and the place it came from in the message."""
        if message.idempotency_key is not None:
            return message.idempotency_key, "idempotency_key"
        key = self.request.id or str(uuid4())
        if len(key) > KEY_LENGTH or "\x00" in key or not encodable(key):
            told = f"1 to {KEY_LENGTH} characters without U+0000 were expected"
            raise InvalidMessage.of(
                "the task id cannot be an idempotency key",
                [{"path": "id", "type": "idempotency_key", "message": told}],
            )
        return key, "id"

    def _later(self, process: Runtime, awaited: str) -> Any:  # noqa: ANN401 - Celery ships no types
        """Return the exception that has the message tried again, or told ``unavailable``."""
        policy = process.configuration.retry
        # The count comes in a header, so it may be any number.
        tries = min(max(self.request.retries, 0), policy.most)
        seconds = min(policy.longest, policy.backoff * 2**tries)
        error = Unavailable.of(
            f"{awaited} did not answer in {policy.most + 1} tries",
            [{"path": "", "type": "unavailable", "message": "the message may be sent again"}],
        )
        try:
            # Jitter between half and all of the time, so that a thousand messages do not return
            # as one.
            return self.retry(
                exc=error,
                countdown=seconds * random.uniform(0.5, 1),  # noqa: S311 - no secret
                max_retries=policy.most,
                throw=False,
            )
        except Reject as rejected:
            # Celery drops the message when it cannot publish the next try; the broker keeps it.
            return Reject(rejected.reason, requeue=True)
        except Unavailable as unavailable:
            return unavailable


def write(name: str, model: type[W], **options: Any) -> Callable[..., Any]:  # noqa: ANN401 - Celery's options
    """Declare a task that changes something: once for each idempotency key."""

    def execute(
        self: ServiceTask, do: Callable[[W, Work], Result], message: W, process: Runtime
    ) -> Answer:
        key, path = self.idempotency_key(message)
        content = _content_sha256(message)
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


def lookup(name: str, model: type[M], **options: Any) -> Callable[..., Any]:  # noqa: ANN401 - Celery's options
    """Declare a task that looks up what it needs in single statements, and stores nothing."""

    def execute(
        _: ServiceTask, do: Callable[[M, Lookup], Result | Answer], message: M, process: Runtime
    ) -> Answer:
        with process.statements() as connection:
            result = do(message, Lookup(connection, process))
        if isinstance(result, Answer):
            return result
        # What a type of template does not have is left out, not null.
        return Answer(result.model_dump(mode="json", exclude_unset=True))

    return _declare(name, model, execute, options)


def upkeep(name: str, model: type[M], **options: Any) -> Callable[..., Any]:  # noqa: ANN401 - Celery's options
    """Declare a task of maintenance, which makes connections of its own."""

    def execute(
        self: ServiceTask,
        do: Callable[[M, Configuration], Result],
        message: M,
        process: Runtime,
    ) -> Answer:
        run_id = self.request.id or str(uuid4())
        try:
            return Answer(recorded(name, run_id, message, process.configuration, do))
        except OperationError as error:
            raise MaintenanceFailed.because(error.kind, error.message, error.remedy) from None

    return _declare(name, model, execute, options)


def _declare(
    name: str,
    model: type[Message],
    execute: Callable[..., Answer],
    options: Mapping[str, Any],
) -> Callable[..., Any]:
    def decorate(do: Callable[[Any, Any], Result | Answer]) -> object:
        # Positional only, or a producer's keyword "self" would be a TypeError instead of refused.
        def run(self: ServiceTask, /, *arguments: object, **keywords: object) -> Answer:
            return self.serve(arguments, keywords)

        run.__doc__ = do.__doc__
        run.__module__ = do.__module__
        return shared_task(
            run,
            name=name,
            bind=True,
            base=ServiceTask,
            message=model,
            execute=lambda self, message, process: execute(self, do, message, process),
            **options,
        )

    return decorate


def _content_sha256(message: WriteMessage) -> bytes:
    return hashlib.sha256(json.dumps(message.content(), sort_keys=True).encode()).digest()
