"""Templates as files: reading, writing, checking and comparing them. Nothing here needs Celery."""
