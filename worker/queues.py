"""Queue names, and the routes of tasks to queues."""

from enum import StrEnum
from typing import Final


class QueueName(StrEnum):
    """The queues of the contract."""

    TEMPLATES = "templates"
    RENDER = "render"
    RENDER_BULK = "render-bulk"
    MAINTENANCE = "maintenance"
    DEAD_LETTERS = "dead-letters"


CONSUMED: Final = (
    QueueName.TEMPLATES,
    QueueName.RENDER,
    QueueName.RENDER_BULK,
    QueueName.MAINTENANCE,
)
"""Queues that workers consume. Operators read the dead letters."""

ROUTES: Final = {
    "template.*": {"queue": QueueName.TEMPLATES.value},
    "version.*": {"queue": QueueName.TEMPLATES.value},
    "bundle.*": {"queue": QueueName.TEMPLATES.value},
    "translation.*": {"queue": QueueName.TEMPLATES.value},
    "render.one": {"queue": QueueName.RENDER.value},
    "render.preview": {"queue": QueueName.RENDER.value},
    "render.batch": {"queue": QueueName.RENDER_BULK.value},
    "maintenance.*": {"queue": QueueName.MAINTENANCE.value},
}
