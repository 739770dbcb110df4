"""Validation by the schemas of the contract."""

from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from worker.contract import declared_tasks, json_schemas


@cache
def _document() -> dict[str, Any]:
    document = json_schemas()
    for name in {name for name in document["$defs"] if "Celery" not in name} - {"RedisEntry"}:
        schema = document["$defs"][name]
        if schema.get("type") == "object":
            # A client ignores members that it does not know; here each must be in the contract.
            schema["additionalProperties"] = False
    return document


@cache
def validator(name: str) -> Draft202012Validator:
    """Return the validator of a schema of the contract, which allows no unknown member."""
    return Draft202012Validator(_document() | {"$ref": f"#/$defs/{name}"})


@cache
def _result_schemas() -> dict[str, str]:
    return {task.name: task.result.__name__ for task in declared_tasks()}


def errors_of(name: str, value: object) -> list[str]:
    """Return what is wrong with a value by a schema of the contract."""
    return [
        f"{list(error.absolute_path)}: {error.message}"
        for error in validator(name).iter_errors(value)
    ]


def errors_of_result(task: str, result: object) -> list[str]:
    """Return what is wrong with the result of a task."""
    return errors_of(_result_schemas()[task], result)
