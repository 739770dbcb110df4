"""The transport's scripts, in thousands of interleavings, on a server in memory."""

from typing import Any

import fakeredis
import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.transport_model import TransportMachine
from worker.transport import held

# fakeredis has no redis.sha1hex; any function that tells messages apart does.
DIGEST = (
    "local redis = setmetatable({sha1hex = function(text) return text end}, {__index = redis})\n"
)


class InMemory(TransportMachine):
    """On fakeredis."""

    def client(self) -> Any:  # noqa: ANN401 - fakeredis's
        """Return a client of an empty server."""
        return fakeredis.FakeRedis(server=fakeredis.FakeServer())


def test_each_message_is_in_one_place_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Consumers take, release, delay, bury, stand still, die, come back, and lose replies."""
    plain = held.source
    monkeypatch.setattr(held, "source", lambda name: DIGEST + plain(name))
    run_state_machine_as_test(
        InMemory, settings=settings(max_examples=150, stateful_step_count=40, deadline=None)
    )
