"""Stacks as small as tests need them."""

from pathlib import Path
from typing import Any, Final

from worker.local import LocalStack

# Short tries, so that a test of a server that is away need not wait for a minute.
QUICK: Final = {"TEMPLATE_SERVICE_RETRY_BACKOFF_MAX": "1"}


def small_stack(
    directory: Path,
    **options: Any,  # noqa: ANN401 - those of LocalStack
) -> LocalStack:
    """Return a stack of servers and workers, not started, that cannot outlive the test run."""
    defaults: dict[str, Any] = {
        "beat": False,
        "flower": False,
        "durable": False,
        "die_with_parent": True,
        "environment": QUICK,
    }
    return LocalStack(directory, **(defaults | options))
