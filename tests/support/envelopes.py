"""Messages as they lie in a Redis list, written by hand."""

import base64
import json
import uuid
from typing import Any

import redis


def body_of(kwargs: object, *, args: object = (), embed: object = None) -> bytes:
    """Return the body of Celery's protocol 2."""
    return json.dumps([args, kwargs, embed if embed is not None else {}]).encode()


def envelope(
    task: object,
    body: bytes,
    *,
    headers: dict[str, Any] | None = None,
    without: tuple[str, ...] = (),
    content_type: str = "application/json",
) -> tuple[str, dict[str, Any]]:
    """Return a task id and the envelope that kombu's Redis transport reads."""
    task_id = str(uuid.uuid4())
    every = {"task": task, "id": task_id, "lang": "py", "root_id": task_id} | (headers or {})
    return task_id, {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": content_type,
        "headers": {name: value for name, value in every.items() if name not in without},
        "properties": {
            "correlation_id": task_id,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "render"},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        },
    }


def push(broker: str, queue: str, message: dict[str, Any]) -> None:
    """Put an envelope on a queue."""
    with redis.Redis.from_url(broker) as client:
        client.lpush(queue, json.dumps(message))


def dead_letters(broker: str) -> list[dict[str, Any]]:
    """Return the dead letters, the newest first; they stay where they are."""
    with redis.Redis.from_url(broker) as client:
        kept = client.lrange("dead-letters", 0, -1)
    return [json.loads(base64.b64decode(json.loads(letter)["body"])) for letter in kept]
