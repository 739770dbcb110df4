"""Messages that cannot be worked on, kept whole on a queue of their own."""

import base64
import json
from typing import Any

from worker.queues import DEAD_LETTERS


def keep(app: Any, message: Any, reason: str) -> None:  # noqa: ANN401 - Celery and kombu have no types
    """Put ``message`` on the dead-letter queue, byte for byte, with the reason.

    The letter is a JSON object: ``reason``, ``headers``, ``properties``, ``content_type``,
    ``content_encoding``, ``delivery_info`` and ``body`` in base64.
    """
    body = message.body
    raw = body if isinstance(body, bytes) else str(body).encode("utf-8", "surrogatepass")
    letter = {
        "reason": reason,
        "headers": message.headers,
        "properties": {
            name: value for name, value in message.properties.items() if _is_json(value)
        },
        "content_type": message.content_type,
        "content_encoding": message.content_encoding,
        "delivery_info": message.delivery_info,
        "body": base64.b64encode(raw).decode(),
    }
    with app.producer_pool.acquire(block=True) as producer:
        producer.publish(
            letter,
            routing_key=DEAD_LETTERS.routing_key,
            exchange="",
            declare=[DEAD_LETTERS],
            serializer="json",
            retry=True,
        )


def _is_json(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
