"""Messages as the clients of several languages write them into a Redis queue.

Written from their sources: Celery 5.7 (celery/app/amqp.py), celery.node 0.5 (src/app/client.ts),
node-celery-ts 0.14 (src/task.ts), celery-php 2.2 (src/RedisConnector.php), rusty-celery 0.5
(src/protocol/mod.rs). gocelery writes protocol 1 only, which this service refuses.
"""

import base64
import copy
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

KEYWORDS: Final[dict[str, Any]] = {
    "template_id": "no-such-template",
    "language": "de-AT",
    "variables": {"name": "Zoë", "order": {"id": 7, "total": 19.9}, "tags": ["a", None, True]},
}
EMPTY: Final[dict[str, Any]] = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
TASK: Final = "render.one"
QUEUE: Final = "render"
RESULTS: Final = "delivery.send"
"""A task of another service, for callbacks."""


def signature(task: str = RESULTS, **options: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values
    """Return a task signature as Celery writes it."""
    return {
        "task": task,
        "args": [],
        "kwargs": {},
        "options": {"queue": "delivery", "task_id": str(uuid.uuid4())} | options,
        "subtask_type": None,
        "immutable": False,
    }


def celery(
    embed: dict[str, Any] | None = None,
    *,
    headers: dict[str, Any] | None = None,
    properties: dict[str, Any] | None = None,
    task_id: str | None = None,
) -> dict[str, Any]:
    """Return what Celery's own client writes."""
    task_id = task_id or str(uuid.uuid4())
    return {
        "body": _base64([[], KEYWORDS, EMPTY | (embed or {})]),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": TASK,
            "id": task_id,
            "shadow": None,
            "eta": None,
            "expires": None,
            "group": None,
            "group_index": None,
            "retries": 0,
            "timelimit": [None, None],
            "root_id": task_id,
            "parent_id": None,
            "argsrepr": "()",
            "kwargsrepr": "{'template_id': 'no-such-template', 'variables': {'name': 'Zoë'}}",
            "origin": "gen4711@shop",
            "ignore_result": False,
            "replaced_task_nesting": 0,
            "stamped_headers": None,
            "stamps": {},
        }
        | (headers or {}),
        "properties": {
            "correlation_id": task_id,
            "reply_to": str(uuid.uuid4()),
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        }
        | (properties or {}),
    }


def celery_node() -> dict[str, Any]:
    """Return what celery.node writes: three headers, and names that kombu does not read."""
    task_id = str(uuid.uuid4())
    return {
        "body": _base64([[], KEYWORDS, {}]),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"lang": "js", "task": TASK, "id": task_id},
        "properties": {
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
            "delivery_mode": 2,
            "delivery_tag": str(uuid.uuid4()),
            "correlationId": task_id,
            "replyTo": "",
        },
    }


def node_celery_ts() -> dict[str, Any]:
    """Return what node-celery-ts writes: a plain body, and the same delivery tag each time."""
    task_id = str(uuid.uuid4())
    return {
        "body": json.dumps([[], KEYWORDS, EMPTY]),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "eta": None,
            "expires": None,
            "group": None,
            "id": task_id,
            "lang": "py",
            "origin": "4711@shop",
            "parent_id": None,
            "retries": 0,
            "root_id": task_id,
            "shadow": None,
            "task": TASK,
            "timelimit": [None, None],
        },
        "properties": {
            "body_encoding": "utf-8",
            "correlation_id": task_id,
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
            "delivery_mode": 2,
            "delivery_tag": "celery",
            "queue": QUEUE,
            "assertQueue": True,
            "priority": 0,
            "reply_to": "shop",
        },
    }


def celery_php() -> dict[str, Any]:
    """Return what celery-php writes: a plain body of encoding binary, and no embed."""
    task_id = f"php_{uuid.uuid4().hex[:13]}.12345678"
    return {
        "content-type": "application/json",
        "content-encoding": "binary",
        "properties": {
            "reply_to": task_id,
            "delivery_info": {"priority": 0, "routing_key": QUEUE, "exchange": QUEUE},
            "delivery_mode": 2,
            "delivery_tag": task_id,
        },
        "headers": {"lang": "py", "task": TASK, "id": task_id},
        "body": json.dumps([[], KEYWORDS, None]).replace("/", "\\/"),
    }


def rusty_celery() -> dict[str, Any]:
    """Return what rusty-celery writes: null for all that is not set."""
    task_id = str(uuid.uuid4())
    names = "lang root_id parent_id group meth shadow eta expires retries argsrepr kwargsrepr"
    return {
        "body": _base64([[], KEYWORDS, EMPTY]),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": dict.fromkeys(names.split())
        | {"id": task_id, "task": TASK, "timelimit": [None, None], "origin": "gen4711@shop"},
        "properties": {
            "correlation_id": task_id,
            "reply_to": None,
            "delivery_tag": str(uuid.uuid4()),
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": "celery"},
        },
    }


def gocelery() -> dict[str, Any]:
    """Return what gocelery writes: protocol 1, its id in the body."""
    body = {"id": str(uuid.uuid4()), "task": TASK, "args": [], "kwargs": KEYWORDS, "retries": 0}
    return {
        "body": _base64(body | {"eta": None, "expires": None}),
        "content-type": "application/json",
        "properties": {
            "body_encoding": "base64",
            "correlation_id": str(uuid.uuid4()),
            "reply_to": str(uuid.uuid4()),
            "delivery_info": {"priority": 0, "routing_key": "celery", "exchange": "celery"},
            "delivery_mode": 2,
            "delivery_tag": str(uuid.uuid4()),
        },
        "content-encoding": "utf-8",
    }


def soon(**ahead: float) -> str:
    """Return a time as Celery writes it."""
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat()


CLIENTS: Final[dict[str, Callable[[], dict[str, Any]]]] = {
    "celery": celery,
    "celery.node": celery_node,
    "node-celery-ts": node_celery_ts,
    "celery-php": celery_php,
    "rusty-celery": rusty_celery,
    "celery, to begin later": lambda: celery(headers={"eta": soon(seconds=5), "retries": 2}),
    "celery, for a while": lambda: celery(headers={"expires": soon(hours=1)}),
    "celery, with a priority": lambda: celery(properties={"priority": 3}),
    "celery, traced": lambda: celery(
        headers={"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00", "baggage": {"a": [1]}}
    ),
    "celery, with links": lambda: celery(
        {
            "callbacks": [signature(), signature("delivery.log", link=[signature()])],
            "errbacks": [signature("delivery.failed", priority=3, countdown=1)],
        }
    ),
    "by hand, with links": lambda: celery(
        {
            "callbacks": [{"task": RESULTS, "options": {"queue": "delivery"}}],
            "errbacks": [{"task": TASK, "immutable": True}],
            "chain": [
                {
                    "task": "celery.group",
                    "subtask_type": "group",
                    "kwargs": {
                        "tasks": [
                            {
                                "task": RESULTS,
                                "args": None,
                                "kwargs": None,
                                "options": {"queue": "delivery", "link": {"task": TASK}},
                            },
                            {"task": TASK},
                        ]
                    },
                }
            ],
        }
    ),
    "celery, in a chain": lambda: celery(
        {"chain": [signature("delivery.log", headers={"a": 1}), signature(expires=60)]}
    ),
    "celery, in a chord": lambda: celery(
        {"chord": signature("delivery.all", link_error=[signature("delivery.failed")])},
        headers={"group": str(uuid.uuid4()), "group_index": 1},
    ),
    "celery, with a canvas": lambda: celery(
        {
            "callbacks": [
                signature("celery.group")
                | {"subtask_type": "group", "options": {}, "kwargs": {"tasks": [signature()] * 2}},
                signature("celery.chain")
                | {"subtask_type": "chain", "options": {}, "kwargs": {"tasks": [signature()] * 2}},
                signature("celery.chord")
                | {
                    "subtask_type": "chord",
                    "options": {},
                    "kwargs": {"header": [signature()], "body": signature(), "kwargs": {}},
                },
            ]
        }
    ),
    "celery, stamped": lambda: celery(
        headers={"stamped_headers": ["shop"], "stamps": {"shop": ["a"]}, "shop": ["a"]}
    ),
}
"""Messages that are in order, by client and use."""


def raw(message: dict[str, Any]) -> bytes:
    """Return a message as it lies in the queue."""
    return json.dumps(message).encode()


def with_body(message: dict[str, Any], body: bytes) -> dict[str, Any]:
    """Return a message with another body, encoded as its own is."""
    changed = copy.deepcopy(message)
    if changed["properties"].get("body_encoding") == "base64":
        changed["body"] = base64.b64encode(body).decode()
    else:
        changed["body"] = body.decode("utf-8", "replace")
    return changed


def body_of(message: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    """Return the decoded body of a message."""
    encoded = message["properties"].get("body_encoding") == "base64"
    return json.loads(base64.b64decode(message["body"]) if encoded else message["body"])


def _base64(value: object) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()
