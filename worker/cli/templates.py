"""``template-service templates``: templates as files and on the service."""

from __future__ import annotations

import click

from worker.cli.base import Group

_STORED = "worker.cli.templates_stored"
_SYNC = "worker.cli.templates_sync"
COMMANDS = {
    "new": "worker.cli.templates_check:new",
    "check": "worker.cli.templates_check:check",
    "preview": "worker.cli.templates_preview:preview",
    "pull": f"{_SYNC}:pull",
    "push": f"{_SYNC}:push",
    "export": f"{_SYNC}:export",
    "import": f"{_SYNC}:import_",
    "list": f"{_STORED}:list_",
    "show": f"{_STORED}:show",
    "render": f"{_STORED}:render",
    "history": f"{_STORED}:history",
    "diff": f"{_STORED}:diff",
    "activate": f"{_STORED}:activate",
    "unschedule": f"{_STORED}:unschedule",
    "delete": f"{_STORED}:delete",
    "restore": f"{_STORED}:restore",
    "confirm": f"{_STORED}:confirm_translations",
    "users": f"{_STORED}:users",
}


@click.group(
    cls=Group,
    lazy=COMMANDS,
    example="templates new welcome --type email\ntemplates check\ntemplates push --dry-run",
)
def templates() -> None:
    """Write, check, preview, publish and roll back templates."""
