"""Handlers of Celery's signals: checks before the start, set-up and clean-up of processes."""

import gc
import logging
import sys
from typing import Any

from celery.signals import (
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
)

from tasks import runtime
from tasks.rendering.child import RenderProcessError
from worker import outcomes
from worker.preflight import StartError, check
from worker.settings import Settings

logger = logging.getLogger(__name__)


def connect(settings: Settings) -> None:
    """Connect the handlers of Celery's signals."""

    def refuse_a_start_that_cannot_work(**_: Any) -> None:  # noqa: ANN401 - Celery's arguments
        try:
            check(settings)
        except StartError as error:
            # Celery logs an exception of a handler and continues; only SystemExit stops the start.
            sys.stderr.write(f"template-service cannot start:\n{error}\n")
            sys.stderr.flush()
            raise SystemExit(1) from None
        # Before the first process is forked: Celery collects garbage before each fork.
        _freeze_imported_objects()

    # Each message is logged when it is done; another line when it is received doubles the log.
    logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)
    # weak=False: nothing else holds a reference to the closure.
    worker_init.connect(refuse_a_start_that_cannot_work, weak=False)
    worker_process_init.connect(_begin)
    worker_ready.connect(_freeze_imported_objects)
    worker_process_shutdown.connect(_end)
    worker_shutdown.connect(_end)
    worker_shutdown.connect(_log_counts)


def _begin(**_: Any) -> None:  # noqa: ANN401 - Celery's arguments
    _freeze_imported_objects()
    # The first message should not wait for the render process to start.
    try:
        runtime.current().renderer.start()
    except RenderProcessError as error:
        logger.warning(
            "The render process did not start; the first message will start it: %s", error
        )


def _end(**_: Any) -> None:  # noqa: ANN401 - Celery's arguments
    runtime.close()


def _log_counts(**_: Any) -> None:  # noqa: ANN401 - Celery's arguments
    outcomes.log_counts()


def _freeze_imported_objects(**_: Any) -> None:  # noqa: ANN401 - Celery's arguments
    """Exclude imported objects from all later garbage collections.

    After its imports a worker has 120,000 permanent objects (``len(gc.get_objects())``) that each
    full collection would traverse.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
