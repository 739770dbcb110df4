"""``template-service db kill-idle`` and ``kill-blocking``: they end sessions of others."""

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Final

import click
from sqlalchemy import Engine

from db.errors import OperationError
from db.monitoring import terminate
from db.monitoring.reader import Row
from worker.cli.operator import confirmed, explained, operator_configuration, operator_engine
from worker.cli.tables import Duration, full_option, json_option, show

_STATES: Final = {
    "idle": (terminate.IDLE,),
    "in-transaction": terminate.IN_TRANSACTION,
    "both": (terminate.IDLE, *terminate.IN_TRANSACTION),
}
# By these a session is told apart from a later one; they say nothing to people.
_HIDDEN: Final = {"started", "changed"}
yes_option = click.option("--yes", is_flag=True, help="Do it without asking.")


@click.command()
@click.option(
    "--older-than", type=Duration(), default="1h", show_default=True, help="Idle for how long."
)
@click.option(
    "--state",
    type=click.Choice(list(_STATES)),
    default="both",
    show_default=True,
    help="Those without a transaction, those in one, which is rolled back, or both.",
)
@yes_option
@json_option
@explained
def kill_idle(*, older_than: int, state: str, yes: bool, json_: bool) -> None:
    """End sessions that have been idle for long.

    Shows them and asks. With --json nothing is asked: without --yes they are only shown.
    """
    with operator_engine(operator_configuration()) as engine:
        found = terminate.idle_sessions(engine, older_than, _STATES[state])
        _end(engine, found, yes=yes, json_=json_)


@click.command()
@click.argument("pid", type=int, required=False)
@yes_option
@full_option
@json_option
@explained
def kill_blocking(*, pid: int | None, yes: bool, full: bool, json_: bool) -> None:
    """End the sessions that others wait for and that wait for nobody, or the one with PID.

    Shows them and asks. With --json nothing is asked: without --yes they are only shown.
    """
    with operator_engine(operator_configuration()) as engine:
        found = terminate.blocking_sessions(engine, pid)
        _end(engine, found, yes=yes, json_=json_, full=full)


def _end(
    engine: Engine, found: Sequence[Row], *, yes: bool, json_: bool, full: bool = False
) -> None:
    told = [{key: value for key, value in row.items() if key not in _HIDDEN} for row in found]
    if json_:
        done = terminate.terminate_sessions(engine, found) if yes else []
        show({"sessions": told, "outcomes": done}, json_=True, full=full)
    else:
        show({"sessions": told}, json_=False, full=full)
        if not found:
            return
        _ask(told, yes=yes)
        done = terminate.terminate_sessions(engine, found)
        counts = Counter(row["outcome"] for row in done)
        print(", ".join(f"{outcome}: {count}" for outcome, count in counts.items()))
    if refused := [str(row["pid"]) for row in done if row["outcome"] == "not allowed"]:
        raise OperationError(
            "permission_denied",
            f"this role may not end the sessions {', '.join(refused)}",
            "use a role that is a member of pg_signal_backend, for a superuser's session a "
            "superuser: template-service db roles apply",
        )


def _ask(told: Sequence[Row], *, yes: bool) -> None:
    if not yes and not _is_terminal():
        raise click.ClickException("Nobody is there to answer: give --yes to end these sessions.")
    states = Counter(str(row["state"]) for row in told)
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    confirmed(f"End these sessions ({counts})? What they have not committed is lost.", yes=yes)


def _is_terminal() -> bool:
    return sys.stdin.isatty()
