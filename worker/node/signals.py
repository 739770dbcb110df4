"""What happens around tasks: a start that is checked, and processes that begin with nothing."""

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
from worker import counters
from worker.preflight import StartError, check
from worker.settings import Settings

logger = logging.getLogger(__name__)


def connect(settings: Settings) -> None:
    """Connect the handlers of Celery's signals."""

    def refuse_a_start_that_cannot_work(**_: Any) -> None:  # noqa: ANN401 - Celery's arguments
        try:
            check(settings)
        except StartError as error:
            # Celery logs what a handler raises and goes on; only an exit stops the start.
            sys.stderr.write(f"template-service cannot start:\n{error}\n")
            sys.stderr.flush()
            raise SystemExit(1) from None

    # Each message has a line when it is done; another when it is received doubles the log.
    logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)
    # weak: nobody else keeps the closure.
    worker_init.connect(refuse_a_start_that_cannot_work, weak=False)
    worker_process_init.connect(_begin)
    worker_ready.connect(_ready)
    worker_process_shutdown.connect(_end)
    worker_shutdown.connect(_end)
    worker_shutdown.connect(_log_counts)


def _begin(**_: Any) -> None:  # noqa: ANN401 - Celery's arguments
    _spare_the_collector()
    # The first message should not wait for the render process to start.
    try:
        runtime.current().renderer.start()
    except RenderProcessError as error:
        logger.warning("The first message will start the render process: %s", error)


def _ready(**_: Any) -> None:  # noqa: ANN401 - Celery's arguments
    _spare_the_collector()


def _end(**_: Any) -> None:  # noqa: ANN401 - Celery's arguments
    runtime.close()


def _log_counts(**_: Any) -> None:  # noqa: ANN401 - Celery's arguments
    counters.log_counts()


def _spare_the_collector() -> None:
    """Leave what was imported out of every garbage collection to come.

    After its imports a worker holds 120,000 objects that the collector would look at each time and
    that never go away (``len(gc.get_objects())``).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
