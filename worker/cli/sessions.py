"""``template-service db kill-idle`` and ``kill-blocking``: terminate sessions."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import click

from db.errors import Kind, OperationError
from worker.cli.base import Command
from worker.cli.operator import operator_engine
from worker.cli.options import Duration, full_option, json_option, yes_option
from worker.cli.output import confirm, print_sections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from db.monitoring.reader import Row

_STATES: Final = ("idle", "in-transaction", "both")
# They identify a session when it is terminated, and say nothing to people.
_HIDDEN: Final = {"started", "changed"}


@click.command(cls=Command, example="db kill-idle --older-than 1h --state in-transaction")
@click.option(
    "--older-than", type=Duration(), default="1h", show_default=True, help="Minimum idle time."
)
@click.option(
    "--state",
    type=click.Choice(_STATES),
    default="both",
    show_default=True,
    help="Idle outside a transaction, idle in one (which is rolled back), or both.",
)
@yes_option
@json_option
def kill_idle(*, older_than: int, state: str, yes: bool, json_: bool) -> None:
    """Terminate sessions that have been idle for long, after showing them.

    With --json and without --yes, they are only shown.
    """
    from db.monitoring import terminate

    states = {
        "idle": (terminate.IDLE,),
        "in-transaction": terminate.IN_TRANSACTION,
        "both": (terminate.IDLE, *terminate.IN_TRANSACTION),
    }[state]
    with operator_engine() as engine:
        sessions = terminate.idle_sessions(engine, older_than, states)
        _terminate(engine, sessions, yes=yes, json_=json_)


@click.command(cls=Command, example="db kill-blocking\ndb kill-blocking 12345")
@click.argument("pid", type=int, required=False)
@yes_option
@full_option
@json_option
def kill_blocking(*, pid: int | None, yes: bool, full: bool, json_: bool) -> None:
    """Terminate the sessions at the head of lock queues, or only PID, after showing them.

    With --json and without --yes, they are only shown.
    """
    from db.monitoring import terminate

    with operator_engine() as engine:
        sessions = terminate.blocking_sessions(engine, pid)
        _terminate(engine, sessions, yes=yes, json_=json_, full=full)


def _terminate(
    engine: Engine, sessions: Sequence[Row], *, yes: bool, json_: bool, full: bool = False
) -> None:
    from db.monitoring import terminate

    shown = [{key: value for key, value in row.items() if key not in _HIDDEN} for row in sessions]
    if json_:
        outcomes = terminate.terminate_sessions(engine, sessions) if yes else []
        print_sections({"sessions": shown, "outcomes": outcomes}, json_=True, full=full)
    else:
        print_sections({"sessions": shown}, json_=False, full=full)
        if not sessions:
            return
        states = Counter(str(row["state"]) for row in shown)
        counts = ", ".join(f"{count} {state}" for state, count in states.items())
        confirm(f"Terminate these sessions ({counts})? Uncommitted work is lost.", yes=yes)
        outcomes = terminate.terminate_sessions(engine, sessions)
        results = Counter(row["outcome"] for row in outcomes)
        print(", ".join(f"{outcome}: {count}" for outcome, count in results.items()))
    if refused := [str(row["pid"]) for row in outcomes if row["outcome"] == "not allowed"]:
        raise OperationError(
            Kind.PERMISSION_DENIED,
            f"permission denied to terminate sessions {', '.join(refused)}",
            "use a role that is a member of pg_signal_backend (template-service db roles apply), "
            "or a superuser for a superuser's session",
        )
