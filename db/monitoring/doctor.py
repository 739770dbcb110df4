"""All checks of the database; a failing one does not prevent the others."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from psycopg.errors import InsufficientPrivilege, LockNotAvailable
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from db.monitoring.checks import copies, server, sessions, tables
from db.monitoring.checks.finding import CheckContext, Expected, Finding, Severity
from db.monitoring.reader import reading

Check = Callable[[CheckContext], Iterator[Finding]]
CHECKS: Final[tuple[Check, ...]] = (
    sessions.visibility,
    tables.revision,
    server.server_version,
    server.programs_version,
    server.durability,
    server.passwords,
    server.weak_logins,
    server.encryption,
    server.autovacuum,
    server.logged_values,
    server.statements,
    server.clock,
    tables.invalid_indexes,
    tables.foreign_keys,
    tables.unused_indexes,
    tables.table_vacuum,
    tables.statistics,
    tables.sequences,
    tables.wraparound,
    tables.cache,
    sessions.connections,
    sessions.pool,
    sessions.transactions,
    sessions.blocked,
    sessions.prepared,
    sessions.application_role,
    copies.archiving,
    copies.slots,
    copies.standbys,
)
_ORDER: Final[tuple[Severity, ...]] = ("error", "warning", "notice")


def examine(engine: Engine, expected: Expected, now: datetime) -> list[Finding]:
    """Run every check of the database; return findings, the most severe first."""
    findings: list[Finding] = []
    with reading(engine) as reader:
        context = CheckContext(reader, expected, now)
        for check in CHECKS:
            try:
                with reader.apart():
                    findings += check(context)
            except DBAPIError as error:
                if (reason := _skip_reason(error)) is None:
                    raise
                findings.append(
                    Finding(
                        "not_checked",
                        "notice",
                        f"{check.__name__.replace('_', ' ')}: {reason}",
                        "problems of this check may be undetected",
                        "run this with a superuser in TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL",
                    )
                )
    return worst_first(findings)


def worst_first(findings: list[Finding]) -> list[Finding]:
    """Return errors, then warnings, then notices, each in the order given."""
    return sorted(findings, key=lambda finding: _ORDER.index(finding.severity))


def alarming(findings: list[Finding]) -> bool:
    """Return whether there are errors or warnings."""
    return any(finding.severity != "notice" for finding in findings)


def _skip_reason(error: DBAPIError) -> str | None:
    if isinstance(error.orig, InsufficientPrivilege):
        return "this role lacks permission"
    if isinstance(error.orig, LockNotAvailable):
        return "a table is locked against readers"
    return None
