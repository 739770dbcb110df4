"""RabbitMQ: kombu's AMQP transport, extended for this service's guarantees.

On every connection of this process:

- An existing queue is used, whatever its type and arguments are. RabbitMQ refuses a declaration
  with other arguments (406 PRECONDITION_FAILED) or without the permission to configure (403
  ACCESS_REFUSED), which kombu raises. A missing queue is created according to the settings.
- A message for a deleted queue of this service creates the queue again. The broker confirms and
  drops a message that cannot be routed
  (https://www.rabbitmq.com/docs/confirms#when-publishes-are-confirmed).
- Messages that wait for their ETA do not count towards the prefetch count, nor do messages whose
  dead letter waits for a broker in an alarm.
- Properties that py-amqp cannot decode do not close the connection; bodies are left undecoded.
- Events are published without publisher confirms. A broker in a memory alarm confirms nothing, and
  a worker that waited would not consume the messages that fill that memory.
"""

from worker.rabbitmq.declarations import declare, difference, queue_counts
from worker.rabbitmq.headers import death, deliveries, without_broker_headers
from worker.rabbitmq.transport import Channel, NoRouteError, register

SCHEMES = ("amqp", "amqps")

__all__ = [
    "SCHEMES",
    "Channel",
    "NoRouteError",
    "death",
    "declare",
    "deliveries",
    "difference",
    "queue_counts",
    "register",
    "without_broker_headers",
]
