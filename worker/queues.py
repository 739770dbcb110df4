"""Queue names, and the routes of tasks to queues."""

from enum import StrEnum
from typing import Final

from tasks.jobs import REPORT


class QueueName(StrEnum):
    """The queues of the contract."""

    TEMPLATES = "templates"
    RENDER = "render"
    RENDER_BULK = "render-bulk"
    MAINTENANCE = "maintenance"
    MONITORING = "monitoring"
    DEAD_LETTERS = "dead-letters"


CONSUMED: Final = (
    QueueName.TEMPLATES,
    QueueName.RENDER,
    QueueName.RENDER_BULK,
    QueueName.MAINTENANCE,
    QueueName.MONITORING,
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
    # Figures must not wait behind a dump or a drill, which take up to half an hour.
    REPORT: {"queue": QueueName.MONITORING.value},
    "maintenance.*": {"queue": QueueName.MAINTENANCE.value},
}
