"""The Celery app, made from the settings of the environment."""

from celery import Celery

from db.session import Database
from tasks import runtime
from tasks.runtime import Configuration, Housekeeping, RetryPolicy
from worker import signals, transport
from worker.celery_settings import celery_settings
from worker.decoding import use_plain_json
from worker.results import backend_url
from worker.settings import Settings, load

TASKS = (
    "tasks.templates",
    "tasks.versions",
    "tasks.translations",
    "tasks.render",
    "tasks.maintenance",
)


def make_app(settings: Settings) -> Celery:
    """Return the app with all its tasks; nothing is connected yet."""
    transport.register()
    use_plain_json()
    app = Celery("template-service", include=TASKS)
    # Celery prefers CELERY_RESULT_BACKEND in the environment to what its settings say.
    app.backend_cls = backend_url(settings.result_backend.get_secret_value())
    app.conf.update(celery_settings(settings))
    app.steps["consumer"].add("worker.heartbeat:Heartbeat")
    runtime.install(lambda: configuration(settings))
    signals.connect(settings)
    return app


def configuration(settings: Settings) -> Configuration:
    """Return what the tasks need of the settings."""
    return Configuration(
        database=Database(
            url=settings.database_url.get_secret_value(),
            pool_size=settings.db_pool_size,
            max_overflow=settings.db_max_overflow,
            pool_timeout=settings.db_pool_timeout,
            pool_recycle=settings.db_pool_recycle,
            pool_pre_ping=settings.db_pool_pre_ping,
            connect_timeout=settings.db_connect_timeout,
            statement_timeout=settings.db_statement_timeout,
        ),
        limits=settings.limits,
        default_language=settings.default_language,
        retry=RetryPolicy(
            most=settings.max_retries,
            backoff=settings.retry_backoff,
            longest=settings.retry_backoff_max,
        ),
        housekeeping=Housekeeping(
            purge_after_days=settings.purge_after_days,
            keep_versions=settings.keep_versions,
            batch=settings.maintenance_batch,
        ),
    )


app = make_app(load())
