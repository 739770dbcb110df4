"""Checks of sessions, locks and roles."""

from collections.abc import Iterator

from db.monitoring.checks.finding import MAINTENANCE_ROLE, CheckContext, Finding
from db.units import age


def connections(context: CheckContext) -> Iterator[Finding]:
    """Check that connections are available."""
    limits = context.reader.row("connection_limits")
    usable = limits["most"] - limits["reserved"]
    if limits["used"] >= usable * context.limits.connections:
        yield Finding(
            "connections",
            "error" if limits["free"] == 0 else "warning",
            f"{limits['used']} of {usable} connections are in use",
            "at the limit, workers cannot connect",
            "template-service db kill-idle --older-than 1h (and see: template-service db pool)",
        )


def pool(context: CheckContext) -> Iterator[Finding]:
    """Check that one worker process with a full pool leaves connections for others."""
    limits = context.reader.row("connection_limits")
    usable = limits["most"] - limits["reserved"]
    if context.expected.pool > usable:
        yield Finding(
            "pool",
            "warning",
            f"one worker process may open {context.expected.pool} connections, the server accepts "
            f"{usable}",
            "with a thread pool, tasks fail instead of waiting",
            f"export TEMPLATE_SERVICE_DB_POOL_SIZE={max(usable // 2, 1)} "
            "TEMPLATE_SERVICE_DB_MAX_OVERFLOW=0",
        )


def transactions(context: CheckContext) -> Iterator[Finding]:
    """Check that no transaction is open for long."""
    sessions = context.reader.rows("long_queries", seconds=context.limits.transaction_seconds)
    for row in sessions:
        seconds = max(row["transaction_seconds"] or 0, row["query_seconds"] or 0)
        idle = str(row["state"]).startswith("idle")
        yield Finding(
            "long_transaction",
            "warning",
            f"session {row['pid']} ({row['user']}, {row['application']}) has been in a "
            f"transaction for {age(seconds)}{', idle' if idle else ''}",
            "VACUUM cannot remove rows that are newer, and its locks are held",
            "template-service db kill-idle --older-than 10m"
            if idle
            else f"SELECT pg_cancel_backend({row['pid']});",
        )


def blocked(context: CheckContext) -> Iterator[Finding]:
    """Check that no session waits for a lock for long."""
    for row in context.reader.rows("locks"):
        if (row["waiting_seconds"] or 0) < context.limits.blocked_seconds:
            continue
        yield Finding(
            "blocked",
            "warning",
            f"session {row['pid']} has been waiting for {row['relation']} for "
            f"{age(row['waiting_seconds'])}, blocked by session {row['blocking_pid']}",
            "all sessions that need the same lock wait too",
            f"template-service db kill-blocking {row['blocking_pid']}",
        )


def prepared(context: CheckContext) -> Iterator[Finding]:
    """Check that no prepared transaction was forgotten."""
    for row in context.reader.rows("prepared"):
        if row["age_seconds"] >= context.limits.prepared_seconds:
            yield Finding(
                "prepared_transaction",
                "warning",
                f"a prepared transaction of {row['owner']} is {age(row['age_seconds'])} old",
                "it holds its locks and all dead rows, even after restarts",
                f"{row['remedy']};",
            )


def application_role(context: CheckContext) -> Iterator[Finding]:
    """Check that the role of the tasks can read and write rows only."""
    for row in context.reader.rows("role_rights", role=context.expected.application_role):
        if row["superuser"]:
            yield Finding(
                "role_superuser",
                "warning",
                f"the worker's role {row['role']} is a superuser",
                "an attacker in the worker controls the server, and can execute programs there",
                MAINTENANCE_ROLE,
            )
        elif row["creates"]:
            yield Finding(
                "role_creates",
                "warning",
                f"the worker's role {row['role']} may create and drop tables",
                "an attacker in the worker can drop tables",
                MAINTENANCE_ROLE,
            )


def visibility(context: CheckContext) -> Iterator[Finding]:
    """Check that this role sees the sessions of other roles."""
    if not context.reader.row("sight")["monitor"]:
        yield Finding(
            "not_privileged",
            "notice",
            "this role sees its own sessions only",
            "these checks miss blocked sessions and long transactions of other roles",
            MAINTENANCE_ROLE,
        )
