"""Checks of sessions, locks and roles."""

from collections.abc import Iterator

from db.monitoring.checks.finding import MAINTENANCE_ROLE, Finding, Patient
from db.units import age


def connections(patient: Patient) -> Iterator[Finding]:
    """Check that there is room for more connections."""
    limits = patient.reader.row("connection_limits")
    usable = limits["most"] - limits["reserved"]
    if limits["used"] >= usable * patient.limits.connections:
        yield Finding(
            "connections",
            "error" if limits["free"] == 0 else "warning",
            f"{limits['used']} of {usable} connections are taken",
            "workers wait for one, and are refused when there is none left",
            "template-service db kill-idle --older-than 1h (and see: template-service db pool)",
        )


def pool(patient: Patient) -> Iterator[Finding]:
    """Check that one worker process with a full pool leaves connections for others."""
    limits = patient.reader.row("connection_limits")
    usable = limits["most"] - limits["reserved"]
    if patient.expected.pool > usable:
        yield Finding(
            "pool",
            "warning",
            f"one worker process may open {patient.expected.pool} connections, and the server "
            f"takes {usable}",
            "under a pool of threads tasks fail where they should wait",
            f"export TEMPLATE_SERVICE_DB_POOL_SIZE={max(usable // 2, 1)} "
            "TEMPLATE_SERVICE_DB_MAX_OVERFLOW=0",
        )


def transactions(patient: Patient) -> Iterator[Finding]:
    """Check that no transaction is open for long."""
    found = patient.reader.rows("long_queries", seconds=patient.limits.transaction_seconds)
    for row in found:
        seconds = max(row["transaction_seconds"] or 0, row["query_seconds"] or 0)
        idle = str(row["state"]).startswith("idle")
        yield Finding(
            "long_transaction",
            "warning",
            f"session {row['pid']} ({row['user']}, {row['application']}) has been in a "
            f"transaction for {age(seconds)}{', idle' if idle else ''}",
            "VACUUM keeps every row that has died since, and its locks stay",
            "template-service db kill-idle --older-than 10m"
            if idle
            else f"SELECT pg_cancel_backend({row['pid']});",
        )


def blocked(patient: Patient) -> Iterator[Finding]:
    """Check that nobody waits for a lock for long."""
    for row in patient.reader.rows("locks"):
        if (row["waiting_seconds"] or 0) < patient.limits.blocked_seconds:
            continue
        yield Finding(
            "blocked",
            "warning",
            f"session {row['pid']} waits for {row['relation']} since "
            f"{age(row['waiting_seconds'])}, behind session {row['blocking_pid']}",
            "all that asks for the same lock waits behind it",
            f"template-service db kill-blocking {row['blocking_pid']}",
        )


def prepared(patient: Patient) -> Iterator[Finding]:
    """Check that no prepared transaction was forgotten."""
    for row in patient.reader.rows("prepared"):
        if row["age_seconds"] >= patient.limits.prepared_seconds:
            yield Finding(
                "prepared_transaction",
                "warning",
                f"a prepared transaction of {row['owner']} is {age(row['age_seconds'])} old",
                "it keeps its locks and every dead row, over restarts too",
                f"{row['remedy']};",
            )


def application_role(patient: Patient) -> Iterator[Finding]:
    """Check that the tasks can read and write rows, and nothing else."""
    for row in patient.reader.rows("role_rights", role=patient.expected.application_role):
        if row["superuser"]:
            yield Finding(
                "role_superuser",
                "warning",
                f"the worker's role {row['role']} is a superuser",
                "whoever gets at the worker has the whole server, and programs on its machine",
                MAINTENANCE_ROLE,
            )
        elif row["creates"]:
            yield Finding(
                "role_creates",
                "warning",
                f"the worker's role {row['role']} may create and drop tables",
                "whoever gets at the worker can destroy what it should only write to",
                MAINTENANCE_ROLE,
            )


def sight(patient: Patient) -> Iterator[Finding]:
    """Check that this role sees what the sessions of other roles do."""
    if not patient.reader.row("sight")["monitor"]:
        yield Finding(
            "not_privileged",
            "notice",
            "this role sees its own sessions only",
            "blocked sessions and long transactions of others stay hidden from these checks",
            MAINTENANCE_ROLE,
        )
