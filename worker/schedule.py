"""The beat table: which maintenance runs when, in UTC."""

from typing import Any, Final

from celery.schedules import crontab

from tasks.jobs import JOBS, REPORT
from worker.queues import QueueName
from worker.settings import Settings

# After a day the next run of a daily job is due, so an unstarted one is dropped.
EXPIRES_SECONDS: Final = 86_400
# The next report is due a minute later: after an outage one is worked on, not one for each minute.
REPORT_EXPIRES_SECONDS: Final = 50


def beat_schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return Celery's ``beat_schedule``, each entry named after its task."""
    return {
        job.name: {
            "task": job.name,
            "schedule": crontab.from_string(settings.schedule[job.name]),
            "options": _options(job.name),
        }
        for job in JOBS
    }


def _options(task: str) -> dict[str, Any]:
    if task == REPORT:
        return {"queue": QueueName.MONITORING.value, "expires": REPORT_EXPIRES_SECONDS}
    return {"queue": QueueName.MAINTENANCE.value, "expires": EXPIRES_SECONDS}
