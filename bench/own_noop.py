"""A task that does nothing, in Celery with the transport and the consumer of this service."""

from celery import Celery
from kombu import Queue

from bench.producer import OWN_QUEUE, OWN_TASK
from worker import transport
from worker.celery_settings import celery_settings
from worker.node.decoding import use_plain_json
from worker.results import backend_url
from worker.settings import load

settings = load()
transport.register()
use_plain_json()
app = Celery("own-noop")
app.backend_cls = backend_url(settings.result_backend.get_secret_value())
app.conf.update(celery_settings(settings))
app.conf.update(
    task_queues=[Queue(OWN_QUEUE, routing_key=OWN_QUEUE)],
    task_default_queue=OWN_QUEUE,
    task_routes={},
    beat_schedule={},
)


@app.task(name=OWN_TASK)  # type: ignore[untyped-decorator]  # Celery ships no types
def noop() -> None:
    """Do nothing."""
