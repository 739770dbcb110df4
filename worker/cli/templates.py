"""``template-service templates``: templates as files, and what the service holds of them."""

from __future__ import annotations

import click

from worker.cli.base import Group

COMMANDS = {
    "new": "worker.cli.templates_check:new",
    "check": "worker.cli.templates_check:check",
}


@click.group(
    cls=Group,
    lazy=COMMANDS,
    example="templates new welcome --type email\ntemplates check\ntemplates push --dry-run",
)
def templates() -> None:
    """Write, check, preview, publish and roll back templates."""
