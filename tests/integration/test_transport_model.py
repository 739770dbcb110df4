"""The transport's scripts on a real server, in the interleavings of the model."""

from typing import Any

import redis
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.transport_model import TransportMachine
from worker.local import LocalStack


def test_each_message_is_in_one_place_on_a_real_server(servers: LocalStack) -> None:
    """As in memory, where many more interleavings are tried."""

    class OnValkey(TransportMachine):
        def client(self) -> Any:  # noqa: ANN401 - redis-py's
            client = redis.Redis.from_url(servers.valkey.url_of(9))
            client.flushdb()
            return client

        def teardown(self) -> None:
            if hasattr(self, "redis"):
                self.redis.close()

    run_state_machine_as_test(
        OnValkey, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )
