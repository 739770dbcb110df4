"""What servers do when they are not well."""

import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

import psycopg
import redis

from tests.support.chaos.stacks import ChaosStack
from worker.local.server import HOST, free_port

Change = Callable[[redis.Redis], Any]


def _become_replica(broker: redis.Redis) -> None:
    # Of a primary that is not there: what it holds it keeps, and it only reads, as an old primary
    # does after a failover until the clients have found the new one.
    broker.replicaof(HOST, free_port())


REFUSALS: Final[dict[str, tuple[Change, Change]]] = {
    "out of memory": (
        lambda broker: broker.config_set("maxmemory", 1),
        lambda broker: broker.config_set("maxmemory", 0),
    ),
    "read only": (_become_replica, lambda broker: broker.replicaof("NO", "ONE")),
    "no replicas": (
        lambda broker: broker.config_set("min-replicas-to-write", 1),
        lambda broker: broker.config_set("min-replicas-to-write", 0),
    ),
}
"""Why a broker refuses writes while it answers everything else: how it begins, and how it ends."""


@contextmanager
def refusing_writes(stack: ChaosStack, why: str) -> Iterator[None]:
    """Have the broker, which also keeps the answers, refuse writes."""
    begin, end = REFUSALS[why]
    with stack.broker as broker:
        begin(broker)
        try:
            yield
        finally:
            end(broker)


def close_connections(stack: ChaosStack) -> int:
    """Have the broker close all connections but this one; return how many there were."""
    closed = 0
    with stack.broker as broker:
        for kind in ("normal", "pubsub"):
            closed += int(broker.client_kill_filter(_type=kind))
    return closed


def restart_broker(stack: ChaosStack) -> None:
    """Kill the broker and start it again, as an orchestrator would."""
    stack.valkey.kill()
    stack.valkey.start()


def restart_database(stack: ChaosStack) -> None:
    """Kill PostgreSQL and start it again; it recovers from its log."""
    stack.postgres.kill()
    stack.postgres.start()


@contextmanager
def held_row(stack: ChaosStack, template: str) -> Iterator[None]:
    """Hold the row of a template, so that every publish of it waits in its transaction."""
    with closing(psycopg.connect(stack.postgres.url)) as connection:
        connection.execute("SELECT 1 FROM templates WHERE template_id = %s FOR UPDATE", [template])
        yield


def waiting_backends(stack: ChaosStack) -> int:
    """Return how many transactions wait for a lock."""
    with psycopg.connect(stack.postgres.url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        ).fetchone()
    return 0 if row is None else int(row[0])


SOFT_STOP: Final = signal.SIGQUIT
WARM_STOP: Final = signal.SIGTERM
