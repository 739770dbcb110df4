"""The beat table: which maintenance runs when, in UTC."""

from typing import Any, Final

from celery.schedules import crontab

from tasks.jobs import JOBS
from worker.queues import QueueName
from worker.settings import Settings

# A run that waited for a whole day is not worth doing beside the next one.
EXPIRES_SECONDS: Final = 86_400


def beat_schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return Celery's ``beat_schedule``, each entry named after its task."""
    return {
        job.name: {
            "task": job.name,
            "schedule": crontab.from_string(settings.schedule[job.name]),
            "options": {"queue": QueueName.MAINTENANCE.value, "expires": EXPIRES_SECONDS},
        }
        for job in JOBS
    }
