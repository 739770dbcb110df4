"""The queues as kombu declares them."""

from typing import Final

from kombu import Queue

from worker.queues import CONSUMED, QueueName

QUEUES: Final = [Queue(name.value, routing_key=name.value) for name in CONSUMED]
DEAD_LETTERS: Final = Queue(QueueName.DEAD_LETTERS.value, routing_key=QueueName.DEAD_LETTERS.value)
