"""Use cases of the tasks. They need no Celery and never commit; the task base does."""
