"""A worker's main process without its servers: what kombu and Celery do with one message.

Everything that reads a message is the real thing: kombu's Message, the handler of Celery's
consumer, its strategy, this service's request, Celery's tracer, its Redis backend, its events, and
the state that Flower keeps of them. What is not real is where bytes would leave the process:
broker, Redis and pool take what they are given, encode it as they would, and keep nothing.
"""

import copy
import logging
import pickle
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from types import NoneType
from typing import Any, Final, Self
from unittest.mock import Mock

from billiard.einfo import ExceptionInfo, ExceptionWithTraceback
from celery import Celery, chord, group
from celery._state import _deregister_app
from celery.app.trace import trace_task_ret
from celery.backends.redis import RedisBackend
from celery.events.state import State
from celery.exceptions import Reject, Retry, Terminated, TimeLimitExceeded, WorkerLostError
from celery.worker import state as worker_state
from celery.worker.consumer import Consumer
from kombu.message import Message
from kombu.serialization import prepare_accept_content
from kombu.transport import virtual
from kombu.utils import json
from redis import Redis
from redis._parsers.encoders import Encoder

from tasks.errors import InvalidMessage
from worker.envelope import Envelope
from worker.node.refused import Refused
from worker.node.request import Request

OUTCOMES: Final = (
    "success",
    "refused",
    "retried",
    "rejected",
    "soft_timeout",
    "hard_timeout",
    "lost",
    "terminated",
    "revoked",
)
LOST: Final = ("hard_timeout", "lost")
"""Outcomes that end the process."""
_ERRORS: Final = {"refused": InvalidMessage, "retried": Retry, "rejected": Reject}
_ENCODER: Final[Any] = Encoder("utf-8", "strict", decode_responses=False)  # type: ignore[no-untyped-call]


def _encode(value: object) -> bytes:
    """Return what redis-py sends for ``value``; a DataError is its answer to what it cannot."""
    encoded: bytes = _ENCODER.encode(value)
    return encoded


class Channel(virtual.Channel):  # type: ignore[misc]  # kombu ships no types
    """Takes messages as kombu's Redis channel does, and remembers them."""

    do_restore = False
    sent: Final[list[tuple[bytes, bytes]]] = []

    def _put(self, queue: str, message: dict[str, Any], **_: object) -> None:
        self._get_message_priority(message)
        self.sent.append((_encode(queue), json.dumps(message).encode()))

    def _new_queue(self, queue: str, **_: object) -> None:
        _encode(queue)


class Transport(virtual.Transport):  # type: ignore[misc]  # kombu ships no types
    """A broker that is always there."""

    Channel = Channel
    driver_type = driver_name = "stub"
    state = virtual.BrokerState()

    def establish_connection(self) -> Any:  # noqa: ANN401 - kombu ships no types
        """Return a connection without a poll of anything."""
        return self


class RedisStub:
    """Encodes what the real client would send. A chord's part is always its last."""

    def __init__(self) -> None:
        self._part: bytes = b""

    def register_script(self, script: str) -> Callable[..., Any]:
        """Return a script that encodes its arguments."""

        def run(*, keys: list[Any], args: list[Any], client: object = None) -> object:
            for value in [*keys, *args]:
                _encode(value)
            if "ZADD" not in script.upper():
                return 1
            float(args[3])
            self._part = args[1].encode()
            return 1, 0, b"1", 1

        return run

    def pipeline(self, **_: object) -> "RedisStub":
        """Return a pipeline: this."""
        return self

    def execute(self) -> list[Any]:
        """Return the parts of a chord."""
        return [[self._part]]

    def __enter__(self) -> Self:
        """Return the pipeline."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close nothing."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a command that encodes its arguments, and finds nothing."""
        getattr(Redis, name)

        def command(*arguments: object, **_: object) -> object:
            for value in arguments:
                if not isinstance(value, dict):
                    _encode(value)
            return self if name in {"zrange", "lrange"} else None

        return command


class Backend(RedisBackend):  # type: ignore[misc]  # Celery ships no types
    """Celery's, on the stub of a client."""

    @property
    def client(self) -> RedisStub:
        """The stub."""
        stub: RedisStub = self.__dict__.setdefault("_stub", RedisStub())
        return stub

    def ensure(self, fun: Callable[..., Any], args: tuple[Any, ...], **_: object) -> object:
        """Call it once: nothing here fails for want of a server."""
        return fun(*args)

    def on_task_call(self, *_: object) -> dict[str, Any]:
        """Wait for no answer, as a pool process does not either."""
        return {}

    def add_pending_result(self, result: Any, **_: object) -> Any:  # noqa: ANN401 - Celery ships no types
        """Subscribe to the answer of a callback, of which only the name matters here."""
        _encode(self.get_key_for_task(result.id))
        return result


class _Formats(logging.Handler):
    """Formats and encodes each record, as a terminal or a file would have it."""

    def emit(self, record: logging.LogRecord) -> None:
        self.format(record).encode()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - logging's name
        raise  # noqa: PLE0704 - called while the error is handled


class _Followed(logging.Handler):
    """Fails where this service's request hides an error of Celery to end the message anyway."""

    def emit(self, record: logging.LogRecord) -> None:
        assert "could not follow" not in record.msg, record.getMessage()


class Refusals:
    """Takes messages that are dead letters."""

    def __init__(self, ended: list[str]) -> None:
        self._ended = ended

    def add(self, refused: Refused) -> None:
        """Answer and bury a message."""
        assert refused.error is not None
        json.dumps([refused.task_id, refused.description, refused.error.details])
        self._ended.append("buried")


class Pool:
    """Pickles what goes to a pool process and back, and runs it here."""

    def __init__(self, app: Celery) -> None:
        self.app = app
        self.job: Any = None

    def apply_async(self, target: Callable[..., Any], **options: Any) -> None:  # noqa: ANN401 - Celery's
        """Take a job."""
        timeouts = (options["soft_timeout"], options["timeout"])
        assert all(seconds is None or seconds > 0 for seconds in timeouts)
        job = (target.__name__, options["args"], *timeouts, options["correlation_id"])
        self.job = _there_and_back(job)

    def run(self, expected: type) -> Any:  # noqa: ANN401 - Celery ships no types
        """Return what the pool process sends back."""
        result = trace_task_ret(*self.job[1], app=self.app)
        failed, value, _ = result = _there_and_back(result)
        error = value.exception if failed else None
        error = getattr(error, "exc", None) if isinstance(error, ExceptionWithTraceback) else error
        assert isinstance(error, expected), f"the pool process: {error!r}"
        return result

    def terminate_job(self, pid: int, signal: object) -> None:
        """End nothing."""


class MainProcess:
    """Takes the payloads of accepted messages through every outcome."""

    def __init__(self, settings: dict[str, Any], tasks: frozenset[str]) -> None:
        self.app = Celery("model", set_as_current=False, broker="stub://", backend="redis://")
        self.app.backend_cls = Backend
        self.app.conf.update(settings)
        self.app.conf.update(broker_transport=Transport, broker_url=None)
        self.names = tasks
        self.outcome = "success"

        def work(task: Any, /, *_: object, **__: object) -> object:  # noqa: ANN401 - Celery ships no types
            return self._work(task)

        # First the tasks that other modules share with every app, which may have the same names.
        self.app.finalize()
        for name in tasks:
            self.app.tasks.pop(name, None)
            self.app.task(work, bind=True, name=name, typing=False, shared=False)
        # And it gets none of those that are imported later.
        _deregister_app(self.app)
        self.most_retries = next(self.app.tasks[name].max_retries for name in tasks)
        self.channel = self.app.connection_for_write().default_channel
        self.pool = Pool(self.app)
        self.seen = State(max_tasks_in_memory=100)
        self.events = self.app.events.Dispatcher(
            self.app.connection_for_write(), hostname="model", buffer_while_offline=False
        )
        self.events.send = self._send_event(self.events.send)
        self.accept = prepare_accept_content(["json"])
        self.ended: list[str] = []
        self.events_sent: list[str] = []
        self.consumer = self._consumer()
        self.handle = Consumer.create_task_handler(self.consumer)

    def take(self, accepted: Envelope, outcome: str) -> None:
        """Have Celery work on an accepted message, up to the acknowledgement.

        Raises
        ------
        Exception
            Whatever kombu or Celery raises.
        """
        self.outcome = outcome
        self.ended.clear()
        Channel.sent.clear()
        self.events_sent.clear()
        message = self._message(copy.deepcopy(accepted.payload))
        message.refusals = Refusals(self.ended)
        assert not message.errors
        assert repr(message.payload) == repr(list(accepted.content))
        self.channel.basic_ack = lambda *_, **__: self.ended.append("acknowledged")
        self.channel.basic_reject = lambda *_, **__: self.ended.append("rejected")
        if outcome == "revoked":
            worker_state.revoked.add(accepted.id)
        try:
            self.handle(message)
            expired = "task-revoked" in self.events_sent
            retries = accepted.payload["headers"].get("retries") or 0
            expected = "acknowledged"
            if not expired and outcome == "rejected":
                expected = "rejected"
            elif not expired and outcome in LOST and retries >= self.most_retries:
                expected = "buried"
            assert self.ended == [expected], f"{outcome}: {self.ended}"
        finally:
            worker_state.revoked.discard(accepted.id)
            for requests in (worker_state.requests, worker_state.successful_requests):
                requests.clear()

    def _message(self, payload: dict[str, Any]) -> Any:  # noqa: ANN401 - kombu ships no types
        """Return kombu's message: of a virtual transport where it has a tag, else as of AMQP."""
        if "delivery_tag" in payload["properties"]:
            message = virtual.Message(payload, self.channel, accept=self.accept)
        else:
            message = Message(
                payload["body"],
                content_type=payload["content-type"],
                content_encoding=payload["content-encoding"],
                delivery_info={"exchange": "", "routing_key": "render", "redelivered": False},
                properties=payload["properties"],
                headers=payload["headers"],
                channel=self.channel,
                accept=self.accept,
            )
        message.delivery_tag = "a tag of the transport"
        return message

    def sent(self, call: Any, form: str, options: dict[str, Any]) -> bytes:  # noqa: ANN401 - a signature
        """Return the queue entry that Celery's own client writes for a call, or for its first."""
        Channel.sent.clear()
        call = call.clone()
        match form:
            case "chord":
                call = chord([call, call.clone()], call.clone())
            case "group":
                call = group([call, call.clone()])
        call.apply_async(**options)
        return Channel.sent[0][1]

    def published(self) -> list[tuple[bytes, bytes]]:
        """Return what was sent while the last message was worked on: queues and entries."""
        return list(Channel.sent)

    def _work(self, task: Any) -> object:  # noqa: ANN401 - Celery ships no types
        match self.outcome:
            case "refused":
                raise InvalidMessage.of("the message is invalid", [])
            case "retried":
                raise task.retry(countdown=1, max_retries=10**6)
            case "rejected":
                raise Reject("for a test", requeue=False)
        return {"subject": None, "body": "Hello"}

    def _on_task_request(self, request: Any) -> None:  # noqa: ANN401 - Celery ships no types
        assert isinstance(request, Request)
        json.dumps([request.info(safe=True), str(request), repr(request), request.humaninfo()])
        request.execute_using_pool(self.pool)
        request.on_accepted(1, monotonic())
        match self.outcome:
            case "soft_timeout":
                request.on_timeout(soft=True, timeout=20)
                request.on_success(self.pool.run(NoneType))
            case "hard_timeout":
                request.on_timeout(soft=False, timeout=30)
                request.on_failure(_raised(TimeLimitExceeded(30)))
            case "lost":
                request.on_failure(_raised(WorkerLostError("signal 9")))
            case "terminated":
                request.terminate(self.pool)
                request.on_failure(_raised(Terminated(15)))
            case _:
                request.on_success(self.pool.run(_ERRORS.get(self.outcome, NoneType)))

    def _consumer(self) -> Any:  # noqa: ANN401 - Celery ships no types
        consumer = Mock(spec=Consumer)
        consumer.app = self.app
        consumer.hostname = "model"
        consumer.connection_errors = ()
        consumer.event_dispatcher = self.events
        consumer.disable_rate_limits = True
        consumer.task_buckets = defaultdict(lambda: None)
        consumer.pool = self.pool
        consumer.controller = Mock(state=worker_state)
        consumer.on_task_message = set()
        consumer.qos = Mock()
        consumer.timer = Mock()
        consumer.timer.call_at = self._call_at
        consumer.on_task_request = self._on_task_request
        consumer.apply_eta_task = lambda request: Consumer.apply_eta_task(consumer, request)
        consumer.call_soon_ack = lambda promise, *arguments: promise(*arguments)
        consumer.restart_count = 0
        consumer._maximum_prefetch_restored = True
        for name in ("on_unknown_message", "on_unknown_task", "on_invalid_task", "on_decode_error"):
            setattr(consumer, name, _never(name))
        consumer.strategies = {
            name: self.app.tasks[name].start_strategy(self.app, consumer) for name in self.names
        }
        return consumer

    def _call_at(
        self, eta: float, call: Callable[..., None], arguments: tuple[Any, ...], **_: object
    ) -> None:
        assert 0 <= eta < 2**40
        call(*arguments)

    def _send_event(self, send: Callable[..., None]) -> Callable[..., None]:
        def sending(kind: str, **fields: Any) -> None:  # noqa: ANN401 - JSON values
            send(kind, **fields)
            self.events_sent.append(kind)
            event = {"type": kind, "hostname": "model", "timestamp": 1, "clock": 1} | fields
            self.seen.event(json.loads(json.dumps(event | {"local_received": 1})))
            for task in self.seen.tasks.values():
                json.dumps([task.as_dict() | {"worker": None}, task.info(), task.id])
            self.seen.clear(ready=False)

        return sending


@contextmanager
def formatted_logs() -> Iterator[None]:
    """Format all that Celery logs, without showing it."""
    handler, logger = _Formats(), logging.getLogger("celery")
    followed, own = _Followed(), logging.getLogger("worker.node.request")
    propagate, level = logger.propagate, logger.level
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel(logging.INFO)
    own.addHandler(handler)
    own.addHandler(followed)
    try:
        yield
    finally:
        own.removeHandler(handler)
        own.removeHandler(followed)
        logger.removeHandler(handler)
        logger.propagate = propagate
        logger.setLevel(level)


def _there_and_back(value: Any) -> Any:  # noqa: ANN401 - what can be pickled
    """Return a copy through the pipe between two processes (billiard/connection.py)."""
    return pickle.loads(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))  # noqa: S301 - our own


def _raised(error: Exception) -> ExceptionInfo:
    try:
        raise error
    except type(error):
        return ExceptionInfo()


def _never(name: str) -> Callable[..., None]:
    def called(*arguments: object) -> None:
        raise AssertionError(f"{name}: {arguments[-1]!r}")

    return called
