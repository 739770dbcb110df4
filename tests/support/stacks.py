"""Stacks as small as tests need them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from worker.local import LocalPostgres, LocalStack, LocalValkey
from worker.local.server import LocalServer

S = TypeVar("S", bound=LocalServer)

# Short tries, so that a test of a server that is away need not wait for a minute.
QUICK: Final = {"TEMPLATE_SERVICE_RETRY_BACKOFF_MAX": "1"}
FEW_TRIES: Final = QUICK | {
    "TEMPLATE_SERVICE_MAX_RETRIES": "3",
    "TEMPLATE_SERVICE_DB_CONNECT_TIMEOUT": "2",
}


def small_stack(
    directory: Path,
    *,
    durable: bool = False,
    worker_options: Sequence[str] = (),
    **options: Any,  # noqa: ANN401 - those of LocalStack
) -> LocalStack:
    """Return a stack of servers and workers, not started, that cannot outlive the test run."""
    defaults: dict[str, Any] = {
        "beat": False,
        "flower": False,
        "metrics": False,
        "die_with_parent": True,
        "environment": QUICK,
    }
    stack = LocalStack(directory, **(defaults | options))
    stack.worker_options += worker_options  # of an option given twice the last one counts
    if not durable:
        without_fsync(stack.postgres)
        without_fsync(stack.valkey)
    return stack


def without_fsync(server: S) -> S:
    """Return a server that does not wait for the disk: a crash of the machine may lose its data."""
    if isinstance(server, LocalPostgres):
        server.settings = {**server.settings, "fsync": "off", "full_page_writes": "off"}
        server.initdb_options = (*server.initdb_options, "--no-sync")
    if isinstance(server, LocalValkey):
        server.fsync = "no"
    return server
