"""``template-service db``: monitor the database, and fix problems."""

import click

from worker.cli.base import Group

_REPORTS = (
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
COMMANDS = {name: f"worker.cli.monitoring:{name.replace('-', '_')}" for name in _REPORTS} | {
    "slow-queries": "worker.cli.slow_queries:slow_queries",
    "slow-log": "worker.cli.slow_queries:slow_log_group",
    "kill-idle": "worker.cli.sessions:kill_idle",
    "kill-blocking": "worker.cli.sessions:kill_blocking",
    "doctor": "worker.cli.doctor:doctor",
    "report": "worker.cli.doctor:report",
    "top": "worker.cli.top:top",
    "roles": "worker.cli.roles:roles",
}


@click.group("db", cls=Group, lazy=COMMANDS, example="db doctor\ndb locks")
def database() -> None:
    """Monitor the database, and fix problems.

    Statements are shown without their values, which may be personal data.
    """
