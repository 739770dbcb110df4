"""``template-service db``: watch the database, and mend it."""

import click

from worker.cli.lazy import LazyGroup

_VIEWS = (
    "connections",
    "long-queries",
    "sizes",
    "index-usage",
    "cache",
    "locks",
    "missing-indexes",
    "statistics",
    "explain",
    "autovacuum",
    "bloat",
    "pool",
)
PLACES = {name: f"worker.cli.views:{name.replace('-', '_')}" for name in _VIEWS} | {
    "slow-queries": "worker.cli.statements:slow_queries",
    "slow-log": "worker.cli.statements:slow_log_group",
    "kill-idle": "worker.cli.ending:kill_idle",
    "kill-blocking": "worker.cli.ending:kill_blocking",
    "doctor": "worker.cli.doctor:doctor",
    "report": "worker.cli.doctor:report",
    "roles": "worker.cli.roles:roles",
}


@click.group("db", cls=LazyGroup, places=PLACES)
def database() -> None:
    """Watch and mend the database.

    Statements are shown without the values in them: those may be personal data.
    """
