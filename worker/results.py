"""The result backend: Celery's for Redis, storing each answer once and atomically.

A task stores its answer itself, and handles a failing server: see :mod:`tasks.answers`. So Celery's
own attempt to store it afterwards is skipped without a round trip.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from celery import Celery, states
from celery.backends import redis
from celery.exceptions import BackendStoreError
from kombu.exceptions import OperationalError
from kombu.utils.encoding import bytes_to_str
from kombu.utils.objects import cached_property
from redis.exceptions import ReadOnlyError, RedisError

from tasks.answers import NotAnsweredError, answered, answering
from tasks.work import Answer

logger = logging.getLogger(__name__)

# Beginning of a stored success, as kombu's encoder and :func:`_encoded` write it.
_SUCCESS: Final = '{"status": "SUCCESS"'
# Another type under that key, such as a list, is replaced: the producer waits for an answer.
_STORE: Final = f"""
if redis.pcall('GETRANGE', KEYS[1], 0, {len(_SUCCESS) - 1}) == '{_SUCCESS}' then
    return 0
end
if ARGV[2] == '0' then
    redis.call('SET', KEYS[1], ARGV[1])
else
    redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
end
redis.call('PUBLISH', KEYS[1], ARGV[1])
return 1
"""


_ERRORS: Final = (RedisError, OSError, OperationalError, BackendStoreError)
"""Errors of the result backend, and of the broker, to which chords and errbacks are published."""


class _Once:
    """Stores an answer once for each delivery of a message, and keeps a success.

    Celery reads before it stores: with two concurrent deliveries, a late failure could replace a
    success, and the read costs a round trip for each answer.
    """

    def on_task_call(self, producer: object, task_id: str) -> None:
        """Do not subscribe to the answer of a sent message: no worker waits for answers.

        Celery would subscribe for each retry, and sending one would fail with the result backend.
        """

    def mark_as_done(
        self: Any,
        task_id: str,
        result: object,
        request: Any = None,  # noqa: ANN401 - Celery ships no types
        *arguments: Any,  # noqa: ANN401
        **options: Any,  # noqa: ANN401
    ) -> None:
        """Store a success, and count it in its chord."""
        if not answered(request):
            with self._reported(request):
                super().mark_as_done(task_id, result, request, *arguments, **options)  # type: ignore[misc]

    def mark_as_failure(
        self: Any,
        task_id: str,
        exc: Exception,
        traceback: str | None = None,
        request: Any = None,  # noqa: ANN401 - Celery ships no types
        *arguments: Any,  # noqa: ANN401
        **options: Any,  # noqa: ANN401
    ) -> None:
        """Store a failure, mark it in its chord and chain, and call its errbacks."""
        if not answered(request):
            with self._reported(request):
                super().mark_as_failure(task_id, exc, traceback, request, *arguments, **options)  # type: ignore[misc]

    def mark_as_retry(self: Any, task_id: str, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        """Store the state RETRY; only log it if that fails.

        The retry has been sent to the broker, and Celery would turn an error here into a failure.
        """
        try:
            super().mark_as_retry(task_id, *arguments, **options)  # type: ignore[misc]
        except (*_ERRORS, MemoryError) as error:
            logger.warning("The state RETRY of task %s cannot be stored: %s", task_id, error)

    @contextmanager
    def _reported(self: Any, request: Any) -> Iterator[None]:  # noqa: ANN401 - Celery ships no types
        """Raise :class:`NotAnsweredError` in a task that stores its answer, if the server fails."""
        try:
            yield
        except _ERRORS as error:
            if not answering(request):
                raise
            if isinstance(error, ReadOnlyError):
                # The server has become a replica; the new primary may have the same address.
                self.client.connection_pool.disconnect()
            raise NotAnsweredError(str(error)) from error

    def _store_result(
        self: Any,
        task_id: str,
        result: object,
        state: str,
        traceback: str | None = None,
        request: object = None,
        **_: object,
    ) -> object:
        meta = _meta(self, task_id, result, state, traceback, request)
        expires = self.failure_expires if state == states.FAILURE else self.expires
        self._script(
            keys=[self.get_key_for_task(task_id)], args=[_encoded(self, meta), int(expires or 0)]
        )
        return result

    def store_failures(self: Any, errors: Mapping[str, Exception]) -> None:
        """Store errors as the answers to messages, by task id, in one round trip."""
        with self.client.pipeline(transaction=False) as pipeline:
            for task_id, error in errors.items():
                failure = self.prepare_exception(error)
                meta = _meta(self, task_id, failure, states.FAILURE)
                self._script(
                    keys=[self.get_key_for_task(task_id)],
                    args=[self.encode(meta), int(self.failure_expires or 0)],
                    client=pipeline,
                )
            pipeline.execute()

    @cached_property  # type: ignore[untyped-decorator]  # kombu ships no types
    def _script(self: Any) -> Any:  # noqa: ANN401 - Celery ships no types
        return self.client.register_script(_STORE)


def _meta(  # noqa: PLR0913, PLR0917 - what Celery stores
    backend: Any,  # noqa: ANN401 - Celery ships no types
    task_id: str,
    result: object,
    state: str,
    traceback: str | None = None,
    request: object = None,
) -> dict[str, Any]:
    """Return the members of a stored answer, as Celery's protocol for results has them.

    Celery's own function asks the app for its settings and their time zone for each answer, which
    takes as long as the rest of storing it.
    """
    meta = {
        "status": state,
        "result": result,
        "traceback": traceback,
        "children": backend.current_task_children(request),
        "date_done": datetime.now(UTC).isoformat() if state in states.READY_STATES else None,
        "task_id": bytes_to_str(task_id),
    }
    for name, attribute in (("group_id", "group"), ("parent_id", "parent_id")):
        if value := getattr(request, attribute, None):
            meta[name] = value
    return meta


def _encoded(backend: Any, meta: dict[str, Any]) -> str | bytes:  # noqa: ANN401 - Celery ships no types
    """Return the bytes to store; a result that is JSON already is embedded unchanged."""
    result = meta["result"]
    if not isinstance(result, Answer) or result.stored is None:
        encoded: str = backend.encode(meta)
        return encoded
    rest = {key: value for key, value in meta.items() if key not in {"status", "result"}}
    beginning = f'{{"status": "{meta["status"]}", "result": '.encode()
    return b"".join([beginning, *result.stored, b",", orjson.dumps(rest)[1:]])


class RedisBackend(_Once, redis.RedisBackend):  # type: ignore[misc]  # Celery ships no types
    """For redis:// and rediss://."""


class SentinelBackend(_Once, redis.SentinelBackend):  # type: ignore[misc]  # Celery ships no types
    """The result backend of ``sentinel://``."""


class ProducerApp(Celery):  # type: ignore[misc]  # Celery ships no types
    """The app of a producer, whose connections to the result backend are closed with it.

    Celery leaves them to the garbage collector. Each thread has its own, and closes them.
    """

    def close(self) -> None:
        """Close the app, and this thread's connections to the result backend."""
        self.backend.client.connection_pool.disconnect()
        super().close()


def backend_url(url: str) -> str:
    """Return ``url`` with this module's backend class, in the syntax of Celery's loader."""
    name = "SentinelBackend" if url.startswith("sentinel:") else "RedisBackend"
    return f"{__name__}:{name}+{url}"
