"""The modules that declare the tasks of this service."""

from typing import Final

TASKS: Final = (
    "tasks.bundles",
    "tasks.templates",
    "tasks.versions",
    "tasks.translations",
    "tasks.render",
    "tasks.maintenance",
)
