"""The newest WAL, archived before a command reads the archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from db.errors import OperationError

if TYPE_CHECKING:
    from sqlalchemy import Engine


def archive_latest(engine: Engine) -> bool:
    """Archive the server's newest WAL, or note why not; return whether the server answers."""
    from sqlalchemy.exc import DBAPIError

    from db.recovery import server
    from db.session import is_transient

    is_running = True
    try:
        server.archive_now(engine, "template-service")
    except OperationError as error:
        reason = error.message
    except DBAPIError as error:
        is_running = server.is_refused(error)
        if not is_running and not is_transient(error):
            raise
        reason = "permission denied" if is_running else "the server is unavailable"
    else:
        return True
    click.echo(f"Cannot force a WAL switch ({reason}); using WAL already archived", err=True)
    return is_running
