"""The soft time limit of a task: it strikes where the process waits for PostgreSQL.

Celery's own handler raises SoftTimeLimitExceeded at whatever the process does. Between the commit
and the acknowledgement that ends work that was done as a failure; inside a library it leaves locks
held and connections in the middle of a statement. What a task does is bounded in other ways (the
limits of renders and batches, the timeouts of sockets), but for the sum of its statements. So that
is what the limit ends; see :mod:`db.waits`.

Maintenance waits for programs of PostgreSQL, and makes connections of its own that end with it. So
there the limit strikes anywhere, and is an error that is not retried: the next try would take as
long.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from billiard.pool import SIG_SOFT_TIMEOUT, soft_timeout_sighandler
from celery.exceptions import SoftTimeLimitExceeded

from db.errors import Kind, OperationError
from db.waits import interruption

_strikes_anywhere = False
_has_struck = False


@contextmanager
def striking_anywhere(setting: str) -> Iterator[None]:
    """Let the time limit interrupt any code in the block.

    Raises OperationError: ``time_limit``: it did.

    Parameters
    ----------
    setting
        The environment variable of the limit.
    """
    global _strikes_anywhere  # noqa: PLW0603 - one per process, as is the signal
    _strikes_anywhere = True
    try:
        yield
    except Exception as error:
        # Interrupted in a statement, it is the error of a lost connection.
        if not _has_struck:
            raise
        raise OperationError(
            Kind.TIME_LIMIT,
            f"the run did not finish within {setting} and was interrupted",
            f"raise {setting}, or find the lock that it waits for: template-service db locks",
        ) from error
    finally:
        _strikes_anywhere = False


def begin() -> float:
    """Begin a message: a late time limit of the previous message does not count for it.

    Returns the time, by ``time.monotonic()``.
    """
    global _has_struck  # noqa: PLW0603 - as above
    _has_struck = False
    interruption.clear()
    # The pool installs its own handler after every hook that it calls in a new process.
    if signal.getsignal(SIG_SOFT_TIMEOUT) is soft_timeout_sighandler:
        signal.signal(SIG_SOFT_TIMEOUT, strike)
    return time.monotonic()


def strike(*_: object) -> None:
    """Handle the signal of the pool's supervisor."""
    global _has_struck  # noqa: PLW0603 - as above
    _has_struck = True
    if interruption.waiting or not _strikes_anywhere:
        interruption.request()
    else:
        raise SoftTimeLimitExceeded
