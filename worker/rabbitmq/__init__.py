"""RabbitMQ: kombu's AMQP transport, with what this service promises.

On every connection of this process:

- A queue that exists is used, whatever its type and arguments are. RabbitMQ refuses a declaration
  with other arguments (406 PRECONDITION_FAILED) or without the permission to configure (403
  ACCESS_REFUSED), and kombu ends with that. A missing queue is created as the settings say.
- A message for a queue of this service that was deleted meanwhile creates the queue again. The
  broker confirms a message that no queue takes, and drops it
  (https://www.rabbitmq.com/docs/confirms#when-publishes-are-confirmed).
- Messages that wait for their ETA keep no place of the prefetch count.
- Properties that py-amqp cannot decode end no connection; bodies are left as they were sent.
- Messages whose dead letter waits for a broker in an alarm keep none either.
- Events are published without a confirmation. A broker in a memory alarm confirms nothing, and a
  worker that waited for it would not take the messages that fill that memory.
"""

from worker.rabbitmq.declarations import declare, difference
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
    "register",
    "without_broker_headers",
]
