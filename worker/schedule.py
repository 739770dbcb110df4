"""The beat table: which maintenance runs when, in UTC."""

from typing import Any

from celery.schedules import crontab

from worker.queues import QueueName
from worker.settings import Settings


def beat_schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return Celery's ``beat_schedule``, each entry named after its task."""
    table = {
        "maintenance.backup": settings.schedule_backup,
        "maintenance.verify_backup": settings.schedule_verify_backup,
        "maintenance.base_backup": settings.schedule_base_backup,
        "maintenance.analyze": settings.schedule_analyze,
        "maintenance.vacuum": settings.schedule_vacuum,
        "maintenance.reindex": settings.schedule_reindex,
        "maintenance.purge_templates": settings.schedule_purge_templates,
        "maintenance.prune_versions": settings.schedule_prune_versions,
        "maintenance.prune_records": settings.schedule_prune_records,
        "maintenance.report": settings.schedule_report,
    }
    return {
        task: {
            "task": task,
            "schedule": crontab.from_string(cron),
            "options": {
                "queue": QueueName.MAINTENANCE.value,
                # A run that waited for a whole day is not worth doing beside the next one.
                "expires": 86_400,
            },
        }
        for task, cron in table.items()
    }
