"""A stack whose parts are killed, stopped and continued one by one, under the eyes of a test."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil
import redis

from db.cluster.processes import Process, wait_until
from db.errors import OperationError
from tests.support.chaos.proxies import Proxy
from tests.support.producer import Producer, RefusedError
from worker.local.server import HOST
from worker.local.stack import WARM_SHUTDOWN, LocalStack
from worker.local.valkey import LocalValkey

READY_SECONDS: Final = 60
PROBE_SECONDS: Final = 15
"""For an idle worker to answer one message; a worker that has lost its way never does."""
FIRST: Final = "worker"
SECOND: Final = "worker2"


class SyncableValkey(LocalValkey):
    """Valkey that can be switched to acknowledge writes only after its append-only file has them.

    With ``everysec``, the setting of the local stack, a ``kill -9`` may take writes that were
    acknowledged: Valkey puts off its write(2) while an fsync of the file is under way. A test that
    counts to 0 lost through such a kill needs the setting that promises it; the others need not
    wait for a disk.

    Attributes
    ----------
    is_synced
        Whether it does, from the next start on.
    """

    is_synced = False

    def _build(self, port: int) -> Process:
        process = super()._build(port)
        if self.is_synced:
            process.command += ["--appendfsync", "always"]
        return process


class ChaosStack(LocalStack):
    """PostgreSQL, Valkey and workers, each with handles for what can befall it.

    Parameters
    ----------
    directory
        Of all its files.
    environment
        Settings of its workers; the defaults of the service otherwise, for those are promised.
    """

    def __init__(self, directory: Path, environment: Mapping[str, str] | None = None) -> None:
        super().__init__(
            directory,
            beat=False,
            flower=False,
            die_with_parent=True,
            environment=environment,
        )
        self.valkey: SyncableValkey = SyncableValkey(
            self.directory / "valkey", log=self.logs / "valkey.log", die_with_parent=True
        )

    def direct_producer(self, transport_options: dict[str, Any] | None = None) -> Producer:
        """Return a producer that no network of the test is between."""
        return Producer(self.valkey.url, self.valkey.url_of(1), transport_options)

    @property
    def broker(self) -> redis.Redis:
        """A new client of the broker, past every proxy; close it, or use it as a context."""
        return redis.Redis.from_url(self.valkey.url, socket_timeout=30)

    @property
    def worker(self) -> Process:
        """The first worker."""
        return self.processes[FIRST]

    def node(self, name: str = FIRST) -> psutil.Process:
        """Return the main process of a worker.

        Raises
        ------
        OperationError
            When it does not run.
        """
        process = self.processes[name]
        # psutil takes None for the process that asks.
        if (pid := process.pid) is None:
            raise process.failure("does not run")
        return psutil.Process(pid)

    def launch_worker(self, name: str = FIRST) -> Process:
        """Start a worker and return as soon as its process exists."""
        if name in self.processes:
            self.processes[name].start()
        else:
            self._launch(name, self._worker_command(name), stop_timeout=WARM_SHUTDOWN)
        return self.processes[name]

    def start_worker(self, name: str = FIRST) -> None:
        """Start a worker and return when it takes messages."""
        self.launch_worker(name)
        self.wait_for_worker(name)

    def wait_for_worker(self, name: str = FIRST) -> None:
        """Wait until a worker that was launched takes messages."""
        process = self.processes[name]
        if not wait_until(lambda: " ready." in process.output(), READY_SECONDS):
            raise process.failure(f"was not ready within {READY_SECONDS} s")

    def kill_worker(self, name: str = FIRST) -> None:
        """Kill a worker as the end of its container would: with all processes below it."""
        process = self.processes[name]
        below: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error, OperationError):
            below = self.node(name).children(recursive=True)
        process.kill()
        for each in below:
            with contextlib.suppress(psutil.Error):
                each.kill()
        if not wait_until(lambda: not any(map(_lives, below)), READY_SECONDS):
            raise process.failure("left processes behind when it was killed")

    def drop_worker(self, name: str) -> None:
        """Kill a worker that no later test shall meet."""
        if name in self.processes:
            self.kill_worker(name)
            del self.processes[name]

    def assert_running(self) -> None:
        """Raise if a server or a worker has ended by itself, with the end of its log."""
        if (failure := self.failed()) is not None:
            raise failure

    @contextmanager
    def synced_broker(self) -> Iterator[None]:
        """Have the broker lose nothing when it is killed, for the length of a block."""
        self.valkey.is_synced = True
        with self.broker as broker:
            broker.config_set("appendfsync", "always")
        try:
            yield
        finally:
            self.valkey.is_synced = False
            with contextlib.suppress(redis.ConnectionError), self.broker as broker:
                broker.config_set("appendfsync", "everysec")

    @contextmanager
    def stopped(self, *pids: int | None) -> Iterator[None]:
        """Stop processes with all below them for the length of a block, as a SIGSTOP does."""
        every = [each for pid in pids if pid is not None for each in _family(pid)]
        for each in every:
            _send(each, signal.SIGSTOP)
        try:
            yield
        finally:
            for each in reversed(every):
                _send(each, signal.SIGCONT)

    def answers_probe(self, producer: Producer) -> bool:
        """Tell whether a worker answers a message that any version of the service can answer."""
        try:
            producer.call("render.one", {"template_id": "no-such-template"}, timeout=PROBE_SECONDS)
        except RefusedError:
            return True
        except TimeoutError:
            return False
        return False

    def make_ready(self, producer: Producer) -> None:
        """Repair what an earlier test broke: afterwards one worker runs, and no message is held.

        A stack that is in order costs one message; one that is not begins with an empty broker.
        """
        self.postgres.start()
        self.valkey.start()
        self.drop_worker(SECOND)
        if not (self._in_order() and self.answers_probe(producer)):
            self._describe()
            self.begin_anew()
        with self.broker as broker:
            broker.delete("dead-letters")

    def begin_anew(self) -> None:
        """Kill the worker, empty the broker, start the worker."""
        self.kill_worker()
        with self.broker as broker:
            broker.flushall()
        self.start_worker()

    def _describe(self) -> None:
        """Write what is known of a stack that is not in order, for whoever reads of a failure."""
        with self.broker as broker:
            contents = Contents.of(broker)
        sys.stdout.write(
            f"not in order: {len(contents.waiting)} messages wait, {len(contents.held)} are held; "
            f"the end of the worker's log:\n{self.worker.tail(60)}\n"
        )

    def _in_order(self) -> bool:
        with self.broker as broker:
            return self.worker.running and wait_until(lambda: not Contents.of(broker).busy, 5)


class ProxiedStack(ChaosStack):
    """The same, with a network between the workers and each of their servers.

    Whoever asks for its addresses gets those of the network; a test's own producers and clients
    use those of the servers.

    Attributes
    ----------
    networks
        What the workers connect through: ``database``, ``broker`` and ``backend``.
    """

    def __init__(self, directory: Path, environment: Mapping[str, str] | None = None) -> None:
        super().__init__(directory, environment)
        self.networks = {
            "database": Proxy(lambda: self.postgres.port),
            "broker": Proxy(lambda: self.valkey.port),
            "backend": Proxy(lambda: self.valkey.port),
        }

    def addresses(self) -> dict[str, str]:
        """Return the addresses of the networks."""
        variables = super().addresses()
        for name, network, server in (
            ("DATABASE_URL", self.networks["database"], self.postgres),
            ("CELERY_BROKER_URL", self.networks["broker"], self.valkey),
            ("CELERY_RESULT_BACKEND", self.networks["backend"], self.valkey),
        ):
            variables[name] = variables[name].replace(
                f"@{HOST}:{server.port}/", f"@{HOST}:{network.port}/"
            )
        return variables

    def start(self) -> None:
        """Start the networks, then everything behind and before them."""
        for network in self.networks.values():
            network.come_back()
        super().start()

    def stop(self) -> None:
        """Stop everything; the networks last."""
        super().stop()
        for network in self.networks.values():
            network.go_away()

    def make_ready(self, producer: Producer) -> None:
        """Repair the networks too."""
        for network in self.networks.values():
            network.cut_replies_to(b"", 0)
            network.come_back()
        super().make_ready(producer)


class Contents:
    """What a broker holds: messages on the contract's queues, and those that workers have taken.

    It knows the layout of kombu (one hash ``unacked``) and of this service's own transport (a hash
    ``unacked:…`` for each consumer, and ``unacked:scheduled`` for what is to be worked on later).
    """

    QUEUES: Final = ("templates", "render", "render-bulk", "maintenance", "monitoring")

    def __init__(self, waiting: list[bytes], held: list[bytes], dead: list[bytes]) -> None:
        self.waiting = waiting
        self.held = held
        self.dead = dead

    @property
    def busy(self) -> bool:
        """Whether there is anything left to work on."""
        return bool(self.waiting or self.held)

    @classmethod
    def of(cls, broker: redis.Redis) -> "Contents":
        """Read all of it. A message that moves meanwhile may be missed or seen twice."""
        names = sorted(name for name in broker.scan_iter("*", count=1000) if _of_interest(name))
        waiting: list[Any] = []
        held: list[bytes] = []
        for name in names:
            if name.startswith(b"unacked"):
                held += _members(broker, name)
            else:
                waiting += broker.lrange(name, 0, -1)
        dead: list[Any] = broker.lrange("dead-letters", 0, -1)
        return cls(waiting, held, dead)

    @classmethod
    def count_waiting(cls, broker: redis.Redis) -> int:
        """Return how many messages wait on the queues, priorities left out."""
        with broker.pipeline(transaction=False) as pipeline:
            for queue in cls.QUEUES:
                pipeline.llen(queue)
            return sum(pipeline.execute())


def _of_interest(name: bytes) -> bool:
    queue = name.partition(b"\x06")[0].decode(errors="replace")
    return queue in Contents.QUEUES or name.startswith(b"unacked")


def _members(broker: redis.Redis, name: bytes) -> list[bytes]:
    """Return the messages in a key of held ones: kombu's hash, or one of a consumer, or a zset.

    Indexes, leases and mutexes, which begin with the same letters, hold no message: nothing of the
    length of one.
    """
    kind = broker.type(name)
    if kind == b"hash":
        entries: list[Any] = list(broker.hvals(name))
    elif kind == b"list":
        entries = broker.lrange(name, 0, -1)
    elif kind == b"zset":
        entries = broker.zrange(name, 0, -1)
    else:
        entries = []
    return [each for each in entries if b"{" in each]


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _family(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
        os.kill(process.pid, number)


def pause(seconds: float) -> None:
    """Let time pass in which load goes on: the length of a fault is part of its description."""
    time.sleep(seconds)
