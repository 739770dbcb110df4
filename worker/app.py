"""The Celery app, created from the environment's settings."""

from celery import Celery

from tasks import runtime
from tasks.runtime import Runtime
from worker import flower_pages, json_log, rabbitmq, transport
from worker.broker import SettingsBroker
from worker.celery_settings import celery_settings
from worker.configuration import configuration
from worker.metrics import start as metrics
from worker.node import signals
from worker.node.decoding import use_plain_json
from worker.results import backend_url
from worker.settings import Settings, load
from worker.task_modules import TASKS


def make_app(settings: Settings) -> Celery:
    """Create the app with all its tasks; opens no connection."""
    transport.register()
    rabbitmq.register()
    use_plain_json()
    app = Celery("template-service", include=TASKS, control="worker.node.remote_control:Control")
    # Celery prefers CELERY_RESULT_BACKEND in the environment to the app's settings.
    app.backend_cls = backend_url(settings.result_backend.get_secret_value())
    app.conf.update(celery_settings(settings))
    app.steps["consumer"].add("worker.node.heartbeat:Heartbeat")
    app.steps["consumer"].add("worker.outcomes:Report")
    app.steps["worker"].add("worker.metrics.start:Server")
    metrics.connect()
    flower_pages.register()
    if settings.log_format == "json":
        json_log.connect()
    runtime.install(lambda: Runtime(configuration(settings), lambda: SettingsBroker(settings)))
    signals.connect(settings)
    return app


app = make_app(load())
