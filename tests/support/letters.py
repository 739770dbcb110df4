"""Dead letters as an operator reads them."""

from kombu import Connection

from worker.dead_letters import DeadLetter, browsed


def every_letter(connection: Connection) -> list[DeadLetter]:
    """Return all dead letters, the oldest first; they stay on the queue."""
    with browsed(connection) as letters:
        return list(letters)
