"""Celery's settings: connections, acknowledgement, limits, queues, events."""

from typing import Any, Final
from urllib.parse import urlsplit

from worker import rabbitmq
from worker.declared_queues import QUEUES
from worker.queues import ROUTES, QueueName
from worker.schedule import beat_schedule
from worker.settings import Settings

SENTINEL: Final = "sentinel"
SOCKET_TIMEOUT: Final = 5.0
"""Seconds without an answer after which a connection to Redis counts as broken. A server answers in
milliseconds and pauses for a second at most when it forks for a snapshot. Less than a third of a
task's time limit, within which the task stores its answer."""


def celery_settings(settings: Settings) -> dict[str, Any]:
    """Return Celery's settings (https://docs.celeryq.dev/en/stable/userguide/configuration.html)."""
    return dict(
        **_connections(settings),
        # JSON only: pickle and YAML from a producer could run code.
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        result_accept_content=["json"],
        result_expires=settings.result_expires,
        # Arguments would be stored with results, and they hold personal data.
        result_extended=False,
        task_queues=QUEUES,
        task_default_queue=QueueName.TEMPLATES.value,
        task_routes=ROUTES,
        # Acknowledge a message after its answer is stored: a crash means redelivery, not loss.
        task_acks_late=True,
        task_acks_on_failure_or_timeout=True,
        task_reject_on_worker_lost=False,
        # Retry with a count instead of redelivery without end; see worker.node.request.
        task_retry_on_worker_lost=True,
        worker_prefetch_multiplier=settings.prefetch,  # worker/settings.py has the reason for 4
        task_soft_time_limit=settings.task_soft_time_limit,
        task_time_limit=settings.task_time_limit,
        task_annotations={
            "*": {
                "Request": "worker.node.request:Request",
                "max_retries": settings.retry.most,
                # Seconds before the retry of a message whose process was lost.
                "default_retry_delay": settings.retry.backoff,
            },
            **{
                name: {"soft_time_limit": limit - 60, "time_limit": limit}
                for name, limit in settings.maintenance_time_limits.items()
            },
        },
        worker_consumer="worker.node.consumer:Consumer",
        worker_pool="worker.node.pool:TaskPool",
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_remote_control=settings.remote_control,
        # Flower shows these events: ids, sizes and codes.
        worker_send_task_events=True,
        task_send_sent_event=False,
        worker_hijack_root_logger=True,
        timezone="UTC",
        enable_utc=True,
        beat_schedule=beat_schedule(settings),
        beat_scheduler="worker.beat:Scheduler",
    )


def sentinel_options(settings: Settings) -> dict[str, object]:
    """Return the options with which kombu and Celery find the primary through sentinels."""
    password = settings.sentinel_password.get_secret_value()
    return {
        "master_name": settings.sentinel_master,
        "sentinel_kwargs": {"password": password} if password else {},
    }


def _connections(settings: Settings) -> dict[str, object]:
    """Return the options of broker and result backend, with timeouts that detect a dead peer."""
    silent: dict[str, object] = {
        "socket_timeout": SOCKET_TIMEOUT,
        "socket_connect_timeout": SOCKET_TIMEOUT,
        "health_check_interval": SOCKET_TIMEOUT,
        "socket_keepalive": True,
    }
    broker = settings.broker_url.get_secret_value()
    own: dict[str, object]
    if urlsplit(broker).scheme in rabbitmq.SCHEMES:
        own = _rabbitmq(settings)
    else:
        options = silent | {
            "visibility_timeout": settings.visibility_timeout,
            "global_keyprefix": settings.broker_key_prefix,
        }
        if urlsplit(broker).scheme == SENTINEL:
            options |= sentinel_options(settings)
        own = {
            "broker_transport_options": options,
            # Tasks that run when a connection is lost stay in hand, and count as before. If Celery
            # reduced the prefetch count by their number, idle processes would get nothing.
            "worker_enable_prefetch_count_reduction": False,
        }
    backend = settings.result_backend.get_secret_value()
    answers = sentinel_options(settings) if urlsplit(backend).scheme == SENTINEL else {}
    return own | {
        "broker_url": broker,
        # A worker outlives its broker's restarts. worker.node.signals checks it at the start.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # Also wait for a server that refuses writes (full, read-only, without replicas).
        "broker_channel_error_retry": True,
        "broker_connection_timeout": SOCKET_TIMEOUT,
        "result_backend": backend,
        "result_backend_transport_options": silent | answers,
        "redis_socket_timeout": SOCKET_TIMEOUT,
        "redis_socket_connect_timeout": SOCKET_TIMEOUT,
        "redis_backend_health_check_interval": SOCKET_TIMEOUT,
        "redis_socket_keepalive": True,
        # Two timeouts in a row would exceed the hard time limit of a task, which retries by
        # itself: see tasks.answers.
        "redis_retry_on_timeout": False,
        # A task retries by itself, and the main process must not block (worker.node.refusals).
        "result_backend_always_retry": False,
    }


def _rabbitmq(settings: Settings) -> dict[str, object]:
    return {
        "broker_transport_options": {
            # Without publisher confirms a message that the broker did not get is lost silently.
            "confirm_publish": True,
            "queue_type": settings.queue_type,
            "delivery_limit": settings.delivery_limit,
        },
        # The default exchange exists on every broker: nothing to declare, no type to differ.
        "task_default_exchange": "",
        # Seconds; a dead peer is detected after twice as long, instead of four minutes.
        "broker_heartbeat": 10,
        # RabbitMQ closes a channel with a message unacknowledged for 30 minutes, and requeues its
        # messages. Without this, Celery would stop the worker.
        "broker_channel_error_retry": True,
    }
