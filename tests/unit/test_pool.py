"""Results of pool processes are read whole, also when the event loop is reset in between."""

import os
import pickle
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from billiard.connection import Connection
from kombu.asynchronous import Hub

from worker.node.pool import ResultHandler

FIRST = ["first", "x" * 60_000]
CUTS = [1, 4, 5, 50_000]
"""Bytes of the first message that are there at first."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    """Return an event loop that ends with the test."""
    hub = Hub()
    yield hub
    hub.close()


class Results:
    """The results that came through the pipe of one process."""

    def __init__(self, hub: Hub) -> None:
        self.read: list[Any] = []
        self._hub = hub
        fd, self._write = os.pipe()
        os.set_blocking(fd, False)
        self.reader = Connection(fd, writable=False)
        self.handler = ResultHandler(
            *[None] * 2, {}, *[None] * 6, fileno_to_outq={fd: object()}, on_process_alive=None
        )
        self.handler.on_state_change = self.read.append

    def write(self, part: bytes) -> None:
        """Write as the process does."""
        os.write(self._write, part)

    def run_until_reset(self) -> None:
        """Run the event loop until a connection is lost."""
        fd = self.reader.fileno()
        self.handler.register_with_event_loop(self._hub)
        self._hub.add_reader(fd, self.handler.handle_event, fd)
        for _ in range(3):
            self._hub.call_later(0.02, int)  # so that the loop does not wait longer
            self._hub.run_once()
        self._hub.reset()

    def close(self) -> None:
        """Close the pipe."""
        self.reader.close()
        os.close(self._write)


@pytest.fixture
def results(hub: Hub) -> Iterator[Results]:
    """Return the results of one process."""
    results = Results(hub)
    yield results
    results.close()


def message(value: object) -> bytes:
    """Return a result as it is written into a pipe."""
    body = pickle.dumps(value)
    return struct.pack(">i", len(body)) + body


@pytest.mark.parametrize("cut", CUTS)
def test_a_result_read_in_part_survives_a_reset_of_the_event_loop(
    results: Results, cut: int
) -> None:
    """As after a lost connection to the broker, wherever the result was cut."""
    results.write(message(FIRST)[:cut])
    results.run_until_reset()
    assert results.read == []
    results.write(message(FIRST)[cut:] + message("second"))
    results.run_until_reset()
    assert results.read == [FIRST, "second"]


@pytest.mark.parametrize("cut", CUTS)
def test_the_last_results_of_a_process_are_read_after_its_end(results: Results, cut: int) -> None:
    """Also the rest of one that was read in part; what it could not finish is dropped."""
    results.write(message(FIRST)[:cut])
    results.run_until_reset()
    results.write(message(FIRST)[cut:] + message("second") + message("third")[:-1])
    results.handler.read_rest(results.reader)
    assert results.read == [FIRST, "second"]
    assert not results.reader.poll(0)
    results.write(message("of the next process"))
    results.run_until_reset()
    assert results.read[2:] == ["of the next process"]
