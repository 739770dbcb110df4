"""The composition root: the Celery app, its settings, and everything that runs as a process.

``celery -A worker …`` finds the app here. It is created on first access, so that importing a part
of this package needs no settings.
"""

from typing import Any

__all__ = ["celery"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the Celery app has no types
    if name == "celery":
        from worker.app import app  # noqa: PLC0415 - made when asked for

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
