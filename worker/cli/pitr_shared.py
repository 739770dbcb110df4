"""What the commands of ``template-service pitr`` share."""

from datetime import UTC, datetime

import click
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from db.errors import OperationError
from db.recovery import server
from db.session import is_transient

JSON = click.option("--json", "json_", is_flag=True, help="Print JSON, for programs.")
YES = click.option("--yes", is_flag=True, help="Do not ask.")


class Moment(click.ParamType[datetime]):
    """A time as ISO 8601 writes it; without a zone it is UTC, and that is said."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the time, with its zone."""
        if isinstance(value, datetime):
            return value
        try:
            found = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no time such as 2026-11-22T10:00:00Z", param, ctx)
        if found.tzinfo is None:
            click.echo(f"{value} is taken as UTC", err=True)
            return found.replace(tzinfo=UTC)
        return found


def archive_now(engine: Engine) -> bool:
    """Have the running server archive its newest WAL, or say why not; tell whether it answers."""
    answers = True
    try:
        server.archive_now(engine, "template-service")
    except OperationError as error:
        told = error.message
    except DBAPIError as error:
        if not is_transient(error) and not server.is_refused(error):
            raise
        answers = server.is_refused(error)
        told = "the role may not ask for more" if answers else "it does not answer"
    else:
        return True
    click.echo(f"Only what the server has archived counts: {told}", err=True)
    return answers
