"""The tasks of the service with their models, without its settings or an app of its own."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import import_module
from inspect import signature

from celery import Celery

from tasks.base import ServiceTask
from tasks.jobs import JOBS
from tasks.messages.base import Message, Result
from worker.queues import ROUTES
from worker.task_modules import TASKS


@dataclass(frozen=True, slots=True)
class DeclaredTask:
    """A task: its name and queue, and the models of its message and its result."""

    name: str
    queue: str
    summary: str
    message: type[Message]
    result: type[Result]


def declared_tasks() -> list[DeclaredTask]:
    """Return all tasks by name; imports what they run."""
    for module in TASKS:
        import_module(module)
    # Tasks are declared for every app; this one is only asked what there are.
    app = Celery("contract", set_as_current=False)
    app.finalize()
    return sorted(_declared(app), key=lambda task: task.name)


def _declared(app: Celery) -> Iterator[DeclaredTask]:
    jobs = {job.name: job for job in JOBS}
    for name, task in app.tasks.items():
        if not isinstance(task, ServiceTask):
            continue
        result = task.result
        if result is None:
            result = signature(jobs[name].function()).return_annotation
        summary = (task.__doc__ or "").strip().split("\n")[0]
        yield DeclaredTask(name, queue_of(name), summary, task.message, result)


def queue_of(task: str) -> str:
    """Return the queue of a task."""
    return next(route["queue"] for pattern, route in ROUTES.items() if fnmatchcase(task, pattern))
