"""The contract for producers in a form that programs read: AsyncAPI 3.1, and JSON Schema alone.

Made of what the service itself checks messages with: the models of ``tasks/messages/``, the codes
of ``tasks/errors.py``, the routes and the limits. ``docs/contract.json`` is a copy; ``make check``
compares it, and reports what breaks producers of the last release.
"""

from worker.contract.breaking import breaking_changes, is_announced
from worker.contract.declared import declared_tasks
from worker.contract.document import asyncapi, json_schemas

__all__ = [
    "asyncapi",
    "breaking_changes",
    "declared_tasks",
    "is_announced",
    "json_schemas",
]
