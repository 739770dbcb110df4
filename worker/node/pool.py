"""Celery's prefork pool, with results that survive a lost connection to the broker.

A result of more than 4 KiB (``PIPE_BUF``, pipe(7)), such as an error with its traceback, can reach
the main process in parts, and Celery keeps the first part in a reader of its event loop. A lost
connection to the broker resets that loop: Celery then reads the rest as the beginning of another
result, and waits for gigabytes or fails with an ``UnpicklingError``.
"""

from collections.abc import Callable, Iterator
from typing import Any

from celery.concurrency import asynpool, prefork


class ResultHandler(asynpool.ResultHandler):  # type: ignore[misc]  # Celery ships no types
    """Reads results, and resumes a partially read one."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - Celery's arguments
        super().__init__(*arguments, **options)
        self._unfinished: dict[int, Iterator[None]] = {}

    def _recv_message(
        self, add_reader: Callable[..., None], fd: int, callback: Callable[[Any], None]
    ) -> Iterator[None]:
        """Return an iterator that reads the next result of the pipe ``fd``, or the rest of one."""
        if fd not in self._unfinished:
            message = super()._recv_message(add_reader, fd, callback)
            self._unfinished[fd] = self._to_its_end(message, fd)
        return self._unfinished[fd]

    def read_rest(self, reader: Any) -> None:  # noqa: ANN401 - billiard ships no types
        """Read everything that a terminated process left in its pipe, partial results included."""
        fd = reader.fileno()
        while fd in self._unfinished or reader.poll(0):
            message = self._recv_message(_add_no_reader, fd, self.on_state_change)
            try:
                next(message)
            except StopIteration:
                continue
            except (OSError, EOFError):
                return
            self._unfinished.pop(fd, None)

    def _to_its_end(self, message: Iterator[None], fd: int) -> Iterator[None]:
        try:
            yield from message
        finally:
            self._unfinished.pop(fd, None)


class AsynPool(asynpool.AsynPool):  # type: ignore[misc]  # Celery ships no types
    """Celery's asynchronous pool with this module's :class:`ResultHandler`."""

    ResultHandler = ResultHandler

    def process_flush_queues(self, proc: Any) -> None:  # noqa: ANN401 - billiard ships no types
        """Read the last results of a terminated process."""
        reader = proc.outq._reader  # noqa: SLF001 - see private_names.txt
        if not reader.closed:
            self._result_handler.read_rest(reader)


class TaskPool(prefork.TaskPool):  # type: ignore[misc]  # Celery ships no types
    """Celery's default pool with this module's :class:`AsynPool`."""

    Pool = AsynPool


def _add_no_reader(*_: Any) -> None:  # noqa: ANN401 - the event loop's arguments
    """Add nothing to the event loop: the pipe of a process that has ended is read once."""
