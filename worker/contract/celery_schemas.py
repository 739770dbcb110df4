"""JSON Schemas of what Celery puts around keywords and results: protocol 2, JSON, Redis.

What :mod:`worker.envelope` checks, for clients in languages without one of Celery.
"""

from typing import Any, Final

from tasks.errors import Code
from worker.envelope.fields import LONGEST_ID

Schema = dict[str, Any]
_REF: Final = "#/components/schemas/"
ID: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": LONGEST_ID}
_TIME: Final[Schema] = {"type": ["string", "null"], "format": "date-time"}
_SIGNATURES: Final[Schema] = {
    "type": ["array", "null"],
    "items": {"$ref": f"{_REF}CelerySignature"},
}

PROBLEM: Final[Schema] = {
    "title": "Problem",
    "description": "One problem of a message.",
    "type": "object",
    "required": ["path", "type", "message"],
    "properties": {
        "path": {"type": "string", "description": "The place, such as `variables.user.name`."},
        "type": {"type": "string", "description": "A short name of the problem."},
        "message": {"type": "string", "description": "What was expected. Never a value."},
        "line": {"type": "integer", "minimum": 1},
        "column": {"type": "integer", "minimum": 1},
        "snippet": {"type": "string", "description": "The line, with a caret under the place."},
        "template_id": {"type": "string", "description": "The template of a bundle."},
        "code": {"type": "string", "description": "The code of its refusal, in a bundle."},
        "expected": {
            "type": ["string", "integer"],
            "description": "The version or digest that a condition named.",
        },
        "current": {
            "type": ["string", "integer", "null"],
            "description": "The current version; 0 if there is none.",
        },
        "current_version": {"type": ["string", "integer", "null"]},
    },
}
HEADERS: Final[Schema] = {
    "title": "CeleryHeaders",
    "description": "Headers of Celery's protocol 2 that this service reads. Others are the "
    "producer's own, up to 64 KiB, and are kept when a message is tried again.",
    "type": "object",
    "required": ["task", "id"],
    "properties": {
        "task": {**ID, "description": "Name of the task."},
        "id": {
            **ID,
            "description": "Task id, printable: the answer is stored under it, and it is the "
            "idempotency key of a write.",
        },
        "lang": {"type": ["string", "null"], "examples": ["py"]},
        "eta": {**_TIME, "description": "Earliest start, at most 1,800 seconds ahead."},
        "expires": {**_TIME, "description": "After it the message is dropped."},
        "retries": {"type": ["integer", "null"], "minimum": 0, "maximum": 1000},
        "ignore_result": {"type": ["boolean", "null"], "description": "True: no answer is stored."},
        "root_id": {"type": ["string", "null"]},
        "parent_id": {"type": ["string", "null"]},
        "group": {"type": ["string", "null"]},
        "origin": {"type": ["string", "null"]},
    },
}
EMBED: Final[Schema] = {
    "title": "CeleryCallbacks",
    "description": "Third part of a body: tasks to be called with the answer.",
    "type": ["object", "null"],
    "additionalProperties": False,
    "properties": {
        "callbacks": {**_SIGNATURES, "description": "Celery's `link`."},
        "errbacks": {**_SIGNATURES, "description": "Celery's `link_error`; gets the task id."},
        "chain": {**_SIGNATURES, "description": "The rest of a chain, last task first."},
        "chord": {
            "anyOf": [{"$ref": f"{_REF}CelerySignature"}, {"type": "null"}],
            "description": "Body of a chord that the message is in the header of.",
        },
    },
}
SIGNATURE: Final[Schema] = {
    "title": "CelerySignature",
    "description": "A callback. It names its queue unless its task is one of this service.",
    "type": "object",
    "required": ["task"],
    "properties": {
        "task": ID,
        "args": {"type": ["array", "null"]},
        "kwargs": {"type": ["object", "null"]},
        "options": {
            "type": ["object", "null"],
            "properties": {"queue": {**ID, "description": "Queue of the service with the task."}},
        },
        "immutable": {"type": ["boolean", "null"], "description": "True: it gets no answer."},
        "subtask_type": {
            "enum": ["chain", "chord", "group", None],
            "description": "A canvas of several tasks.",
        },
    },
    "examples": [{"task": "sms.send", "kwargs": {"recipient": 42}, "options": {"queue": "sms"}}],
}
REDIS_ENTRY: Final[Schema] = {
    "title": "RedisEntry",
    "description": "What a client without Celery pushes (LPUSH) to the list of a queue's name. "
    "Lists of priorities have names of their own: see docs/integration/overview.md.",
    "type": "object",
    "required": ["body", "content-type", "headers", "properties"],
    "properties": {
        "body": {
            "type": "string",
            "description": "The body as JSON, encoded as body_encoding says.",
        },
        "content-type": {"const": "application/json"},
        "content-encoding": {"type": ["string", "null"], "examples": ["utf-8"]},
        "headers": {"$ref": f"{_REF}CeleryHeaders"},
        "properties": {
            "type": "object",
            "required": ["delivery_info", "delivery_tag"],
            "properties": {
                "body_encoding": {"enum": ["base64", "utf-8", "", None]},
                "correlation_id": {"type": ["string", "null"], "description": "The task id."},
                "delivery_tag": {"type": ["string", "integer"], "description": "Any unique text."},
                "delivery_info": {
                    "type": "object",
                    "required": ["exchange", "routing_key"],
                    "properties": {
                        "exchange": {"type": "string"},
                        "routing_key": {"type": "string"},
                    },
                },
                "priority": {"type": ["integer", "string", "null"]},
                "reply_to": {"type": ["string", "null"]},
            },
        },
    },
}
REFUSAL: Final[Schema] = {
    "title": "Refusal",
    "description": "Result of a refused message, in state FAILURE.",
    "type": "object",
    "required": ["exc_type", "exc_message", "exc_module"],
    "properties": {
        "exc_type": {"type": "string", "description": "Class of the error, such as TooLarge."},
        "exc_message": {
            "type": "array",
            "minItems": 3,
            "maxItems": 3,
            "description": "Code, sentence and all problems.",
            "items": {
                "anyOf": [
                    {"$ref": f"{_REF}ErrorCode"},
                    {"type": "string"},
                    {"type": "array", "items": {"$ref": f"{_REF}Problem"}},
                ]
            },
        },
        "exc_module": {"type": "string"},
    },
}
ERROR_CODE: Final[Schema] = {
    "title": "ErrorCode",
    "description": "Code of a refusal. The same message may succeed when it is sent again after "
    "`unavailable`, and after `maintenance_failed` with a temporary cause.",
    "type": "string",
    "enum": [str(code) for code in Code],
}
CELERY_SCHEMAS: Final[dict[str, Schema]] = {
    schema["title"]: schema
    for schema in (HEADERS, EMBED, SIGNATURE, REDIS_ENTRY, REFUSAL, ERROR_CODE)
}


def body_of(message: str) -> Schema:
    """Return the schema of a body with the keywords of the schema ``message``."""
    return {
        "type": "array",
        "description": "Positional arguments, which are refused; keyword arguments; callbacks.",
        "minItems": 3,
        "maxItems": 3,
        "items": [
            {"type": "array", "maxItems": 0},
            {"$ref": _REF + message},
            {"$ref": f"{_REF}CeleryCallbacks"},
        ],
    }


def stored(status: str, result: str) -> Schema:
    """Return the schema of a message's entry in the result backend."""
    return {
        "type": "object",
        "required": ["status", "result"],
        "properties": {
            "status": {"const": status},
            "result": {"$ref": _REF + result},
            "task_id": ID,
            "date_done": {"type": ["string", "null"], "format": "date-time"},
        },
    }
