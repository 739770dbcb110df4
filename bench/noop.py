"""The yardstick: Celery as it comes, with this service's settings and a task that does nothing."""

from celery import Celery
from kombu import Queue

from bench.producer import NOOP_QUEUE, NOOP_TASK
from worker.celery_settings import celery_settings
from worker.settings import load

settings = load()
app = Celery("noop")
app.conf.update(celery_settings(settings))
app.conf.update(
    # Celery's own classes: what they cost less is held against this service.
    task_annotations={},
    worker_consumer="celery.worker.consumer:Consumer",
    task_queues=[Queue(NOOP_QUEUE, routing_key=NOOP_QUEUE)],
    task_default_queue=NOOP_QUEUE,
    task_routes={},
    beat_schedule={},
)


@app.task(name=NOOP_TASK)  # type: ignore[untyped-decorator]  # Celery ships no types
def noop() -> None:
    """Do nothing."""
