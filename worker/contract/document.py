"""The AsyncAPI document, and the JSON Schemas alone."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from importlib.metadata import version
from typing import Any, Final

from tasks import errors
from tasks.errors import Code, ServiceError
from tasks.rendering.limits import Limits
from worker.contract.celery_schemas import CELERY_SCHEMAS, body_of, stored
from worker.contract.declared import DeclaredTask, declared_tasks
from worker.contract.examples import EXAMPLES
from worker.contract.schemas import PREFIX, schemas_of
from worker.queues import QueueName
from worker.settings import VARIABLES, environment_name

ASYNCAPI: Final = "3.1.0"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
RESULTS: Final = "results"
REFUSED: Final = "refused"
QUEUES: Final = {
    QueueName.TEMPLATES: "Writes and reads of templates, versions and translations.",
    QueueName.RENDER: "Single renders and previews.",
    QueueName.RENDER_BULK: "Batches, so that a long one holds up no single render.",
    QueueName.MAINTENANCE: "What beat schedules and operators start.",
    QueueName.MONITORING: "The report of each minute, which waits behind no other work.",
}

Json = dict[str, Any]


def asyncapi() -> Json:
    """Return the contract as AsyncAPI 3.1: channels are queues, operations are tasks."""
    tasks = declared_tasks()
    return {
        "asyncapi": ASYNCAPI,
        "id": "urn:template-service",
        "info": {
            "title": "Template Service",
            "version": version("template-service"),
            "description": "Stores, versions, translates and renders notification templates. "
            "A message is one of Celery's protocol 2 in JSON; its answer is in the result backend. "
            "Limits are the defaults: each has a setting. docs/messages.md has the same in words.",
            "license": {
                "name": "Apache-2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
        },
        "defaultContentType": "application/json",
        "channels": _queues(tasks) | {RESULTS: _results(tasks)},
        "operations": {task.name: _operation(task) for task in tasks},
        "components": {
            "messages": _requests(tasks) | _answers(tasks),
            "schemas": dict(sorted((schemas_of(tasks) | CELERY_SCHEMAS).items())),
            "correlationIds": {
                "taskId": {
                    "description": "The task id is the name of the answer.",
                    "location": "$message.header#/id",
                }
            },
        },
        "x-error-codes": _codes(),
        "x-limits": _limits(),
    }


def json_schemas() -> Json:
    """Return the JSON Schemas alone: of each task its message and its result, and definitions."""
    tasks = declared_tasks()
    definitions = schemas_of(tasks) | CELERY_SCHEMAS
    document = {
        "$schema": DIALECT,
        "$defs": dict(sorted(definitions.items())),
        "x-tasks": {
            task.name: {
                "queue": task.queue,
                "message": {"$ref": PREFIX + task.message.__name__},
                "result": {"$ref": PREFIX + task.result.__name__},
            }
            for task in tasks
        },
    }
    local: Json = json.loads(json.dumps(document).replace(PREFIX, "#/$defs/"))
    return local


def _queues(tasks: Sequence[DeclaredTask]) -> Json:
    return {
        queue.value: {
            "address": queue.value,
            "description": description,
            "messages": {
                task.name: {"$ref": f"#/components/messages/{task.name}"}
                for task in tasks
                if task.queue == queue
            },
        }
        for queue, description in QUEUES.items()
    }


def _results(tasks: Iterable[DeclaredTask]) -> Json:
    names = [*(f"{task.name}.result" for task in tasks), REFUSED]
    return {
        "address": "celery-task-meta-{taskId}",
        "description": "Key of the answer in the result backend, kept for "
        f"{environment_name('result_expires')} seconds.",
        "parameters": {"taskId": {"description": "The id in the message's headers."}},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
    }


def _operation(task: DeclaredTask) -> Json:
    results = f"#/channels/{RESULTS}"
    return {
        "action": "receive",
        "summary": task.summary,
        "channel": {"$ref": f"#/channels/{task.queue}"},
        "messages": [{"$ref": f"#/channels/{task.queue}/messages/{task.name}"}],
        "reply": {
            "channel": {"$ref": results},
            "messages": [
                {"$ref": f"{results}/messages/{task.name}.result"},
                {"$ref": f"{results}/messages/{REFUSED}"},
            ],
        },
    }


def _requests(tasks: Iterable[DeclaredTask]) -> Json:
    return {
        task.name: {
            "name": task.name,
            "summary": task.summary,
            "contentType": "application/json",
            "correlationId": {"$ref": "#/components/correlationIds/taskId"},
            "headers": {
                "type": "object",
                "allOf": [{"$ref": f"{PREFIX}CeleryHeaders"}],
                "properties": {"task": {"const": task.name}},
            },
            "payload": body_of(task.message.__name__),
            "examples": [
                {"headers": {"task": task.name, "id": "a-task-id"}, "payload": [[], keywords, {}]}
                for keywords in EXAMPLES[task.name]
            ],
        }
        for task in tasks
    }


def _answers(tasks: Iterable[DeclaredTask]) -> Json:
    answers = {
        f"{task.name}.result": {
            "name": f"{task.name}.result",
            "summary": f"Answer of {task.name}.",
            "payload": stored("SUCCESS", task.result.__name__),
        }
        for task in tasks
    }
    refused = {"name": REFUSED, "summary": "The message was refused."}
    return answers | {REFUSED: refused | {"payload": stored("FAILURE", "Refusal")}}


def _codes() -> list[Json]:
    classes = {
        each.code: each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, ServiceError) and each is not ServiceError
    }
    return [
        {
            "code": str(code),
            "exc_type": classes[code].__name__,
            "meaning": " ".join((classes[code].__doc__ or "").split()),
            "may_be_sent_again": code is Code.UNAVAILABLE,
        }
        for code in Code
    ]


def _limits() -> Json:
    names = {
        environment_name("limits", field.name): field
        for field in fields(Limits)
        if any(variable.path == ("limits", field.name) for variable in VARIABLES.values())
    }
    return {
        name: {"default": field.default, "meaning": VARIABLES[name].description}
        for name, field in names.items()
    }
