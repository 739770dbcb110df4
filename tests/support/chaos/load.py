"""Producers that send a mixed load without waiting for answers, and remember all they sent."""

import random
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self

import redis
from kombu.exceptions import OperationalError

from tests.factories import templates
from tests.support.chaos.stacks import ChaosStack, Contents
from tests.support.producer import QUEUES, Producer

THREADS: Final = 2
TARGETS: Final = 4
LANGUAGES: Final = ("de", "fr", "es", "it")
BULK: Final = {"render.batch": "render-bulk"}
SILENT: Final[dict[str, Any]] = {"socket_timeout": 5, "socket_connect_timeout": 5}


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was sent.

    Attributes
    ----------
    id, task
        Of the message.
    mark
        What its effect in the database is known by; empty where it has none.
    expected
        Part of the answer, or the code of the refusal, that it must get.
    at
        When, in seconds since the epoch.
    acknowledged
        Whether the broker said that it has it; if not, nobody knows.
    """

    id: str
    task: str
    mark: str
    expected: dict[str, Any] | str
    at: float
    acknowledged: bool


@dataclass(frozen=True, slots=True)
class _Order:
    task: str
    keywords: dict[str, Any]
    expected: dict[str, Any] | str
    mark: str = ""


class Load:
    """A seeded mixture: 45 % writes with idempotency keys, 40 % renders, 12 % batches, 3 % refused.

    Parameters
    ----------
    stack
        Whose broker it sends to; a worker must run at :meth:`prepare`.
    seed
        Decides the order of the messages.
    rate
        Messages a second, of all producers together.
    most_waiting
        While more messages wait on the queues no more are sent: what is measured is how long a
        message waits for the service after a fault, not for those before it.
    """

    def __init__(
        self, stack: ChaosStack, seed: str, *, rate: float = 120, most_waiting: int = 250
    ) -> None:
        self._stack = stack
        self._producer = stack.direct_producer(SILENT)
        self._seed = seed
        self._pause = THREADS / rate
        self._most_waiting = most_waiting
        self._over = threading.Event()
        self._open = threading.Event()
        self._failed: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._publish_to: list[str] = []
        self._translate: list[str] = []
        self._render = ""
        self.sent: list[Sent] = []

    def prepare(self, producer: Producer) -> None:
        """Make the templates that the messages are about; one worker must answer."""
        self._publish_to = [templates.created(producer, type="sms") for _ in range(TARGETS)]
        self._translate = [
            templates.published(producer, "Hello", type="sms") for _ in range(TARGETS)
        ]
        self._render = templates.published(producer, "Hello {{ name }}", type="sms")

    def __enter__(self) -> Self:
        """Start sending."""
        self._open.set()
        work = [self._watch, *([self._send] * THREADS)]
        self._threads = [
            threading.Thread(target=self._guarded, args=(each, number))
            for number, each in enumerate(work)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop sending, and raise what a producer did not expect."""
        self._over.set()
        self._open.set()
        for thread in self._threads:
            thread.join()
        self._producer.close()
        if self._failed:
            raise self._failed[0]

    def _guarded(self, work: Callable[[int], None], number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - raised again in the test's own thread
            self._failed.append(error)
            self._over.set()
            self._open.set()

    def _watch(self, _: int) -> None:
        with redis.Redis.from_url(self._stack.valkey.url, socket_timeout=1) as broker:
            while not self._over.wait(0.1):
                try:
                    many = Contents.count_waiting(broker) > self._most_waiting
                except redis.RedisError:
                    continue  # a broker that is away takes no messages either
                if many:
                    self._open.clear()
                else:
                    self._open.set()
        # It may have been closed since the end began, and the producers would wait for ever.
        self._open.set()

    def _send(self, number: int) -> None:
        chance = random.Random(f"{self._seed}:{number}")  # noqa: S311 - to be repeated by its seed
        due = time.monotonic()
        while self._open.wait() and not self._over.is_set():
            self.sent.append(self._sent(self._order(chance)))
            due = max(due + self._pause, time.monotonic() - 0.1)
            self._over.wait(max(0.0, due - time.monotonic()))

    def _sent(self, order: _Order) -> Sent:
        task_id = str(uuid.uuid4())
        queue = BULK.get(order.task) or QUEUES.get(order.task.partition(".")[0], "templates")
        acknowledged = True
        at = time.time()
        try:
            self._producer.send(order.task, order.keywords, task_id=task_id, queue=queue)
        except (OperationalError, redis.RedisError, OSError, AttributeError):
            # kombu raises an AttributeError where a channel was closed under a producer.
            acknowledged = False
        return Sent(task_id, order.task, order.mark, order.expected, at, acknowledged)

    def _order(self, chance: random.Random) -> _Order:
        make = chance.choices(
            (self._create, self._publish, self._upsert, self._one, self._batch, self._refused),
            weights=(15, 15, 15, 40, 12, 3),
        )[0]
        return make(chance)

    def _create(self, chance: random.Random) -> _Order:
        mark = _mark(chance)
        keywords = {"template_id": mark, "name": "Chaos", "type": "sms", "idempotency_key": mark}
        return _Order("template.create", keywords, {"template_id": mark}, mark)

    def _publish(self, chance: random.Random) -> _Order:
        mark = _mark(chance)
        template = chance.choice(self._publish_to)
        keywords = {"template_id": template, "body": mark, "idempotency_key": mark}
        return _Order("version.publish", keywords, {"template_id": template}, mark)

    def _upsert(self, chance: random.Random) -> _Order:
        mark = _mark(chance)
        keywords = {
            "template_id": chance.choice(self._translate),
            "language_code": chance.choice(LANGUAGES),
            "body": mark,
            "idempotency_key": mark,
        }
        return _Order("translation.upsert", keywords, {}, mark)

    def _one(self, chance: random.Random) -> _Order:
        name = _mark(chance)
        keywords = {"template_id": self._render, "variables": {"name": name}}
        return _Order("render.one", keywords, {"body": f"Hello {name}"})

    def _batch(self, chance: random.Random) -> _Order:
        count = chance.randint(2, 20)
        items = [{"key": n, "variables": {"name": f"number {n}"}} for n in range(count)]
        keywords = {"template_id": self._render, "items": items}
        return _Order("render.batch", keywords, {"rendered": count, "failed": 0})

    def _refused(self, chance: random.Random) -> _Order:
        return _Order("template.get", {"template_id": _mark(chance)}, "template_not_found")


def _mark(chance: random.Random) -> str:
    # Unique also where one database sees two loads of one seed.
    return f"chaos-{chance.getrandbits(32):08x}-{uuid.uuid4().hex}"
