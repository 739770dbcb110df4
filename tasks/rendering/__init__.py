"""From source, variables and language to text: no Celery, no database."""
