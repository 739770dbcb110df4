"""Messages and results: importable by a producer without Celery or SQLAlchemy."""
