"""The thread that renews a lease, on a server that is only in memory."""

from typing import Any

import fakeredis
import pytest

from db.cluster.processes import wait_until
from worker.transport import holder
from worker.transport.held import HeldMessages, Keys, Renewal
from worker.transport.holder import Lease

# As redis-py raises them where another thread closes the connection that it reads from.
CLOSED = (
    ValueError("I/O operation on closed file."),
    AttributeError("'NoneType' object has no attribute 'readline'"),
    OSError(9, "Bad file descriptor"),
)


class Closed(HeldMessages):
    """What a consumer holds, over connections that are closed while they are read."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - those of HeldMessages
        super().__init__(fakeredis.FakeRedis(), Keys(), "node/1", **options)
        self.errors = list(CLOSED)
        self.renewed = 0

    def renew(self, *, sweeps: bool) -> Renewal:
        """Fail a few times, then renew."""
        if self.errors:
            raise self.errors.pop()
        renewal = super().renew(sweeps=sweeps)
        self.renewed += 1
        return renewal


def test_a_connection_that_is_closed_meanwhile_does_not_end_the_lease(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever redis-py makes of it; a process without its lease loses all that it holds."""
    monkeypatch.setattr(holder, "RENEW_SECONDS", 0.01)
    held = Closed()
    lease = Lease(held)
    lease.start()
    try:
        assert wait_until(lambda: held.renewed > 2, 10)
    finally:
        lease.stop()
    assert held.errors == []
