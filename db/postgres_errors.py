"""Reports of PostgreSQL, libpq and PostgreSQL's programs, mapped to error kinds and remedies."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import psycopg

from db.errors import Kind, OperationError

RETRY: Final = "fix the reported error and retry"
_SHOWN_LINES: Final = 10
# A retry cannot succeed after these; an unavailable server may come back.
_PERMANENT: Final = {Kind.PASSWORD_REFUSED, Kind.PERMISSION_DENIED}
# Beginnings of lines that repeat statements, rows or values, which may be personal data.
_CONFIDENTIAL: Final = ("CONTEXT:", "DETAIL:", "COPY ")


class Cause(NamedTuple):
    """A pattern of messages in the C locale, and the kind and the remedy that belong to it."""

    pattern: str
    kind: Kind
    remedy: str

    def find(self, text: str) -> str | None:
        """Return the part of a text that matches, or ``None``."""
        match = re.search(self.pattern, text, re.MULTILINE)
        return None if match is None else match[0]


CAUSES: Final = (
    Cause(
        "session is read-only",
        Kind.NO_PRIMARY,
        "start the primary, or if it is lost: template-service replica promote",
    ),
    Cause(
        "password authentication failed",
        Kind.PASSWORD_REFUSED,
        "check user and password in DATABASE_URL or TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL",
    ),
    Cause(
        "no password supplied",
        Kind.PASSWORD_REFUSED,
        "put the password into the URL: postgresql://user:password@host:port/database",
    ),
    Cause(
        "aborting because of server version mismatch",
        Kind.CLIENT_TOO_OLD,
        "set TEMPLATE_SERVICE_POSTGRES_PROGRAMS to programs that are as new as the server",
    ),
    Cause(
        "string buffer exceeds maximum allowed length|invalid memory alloc request size",
        Kind.ROW_TOO_LONG,
        "PostgreSQL copies no row of more than 1 GB, in which bytea counts twice: shorten the row, "
        "or move one of its columns to another table; a base backup has it (template-service pitr "
        "base-backup)",
    ),
    Cause("No space left on device", Kind.DISK_FULL, "free some space and retry"),
    Cause(
        "SSL support is not compiled in",
        Kind.NO_TLS,
        "set TEMPLATE_SERVICE_POSTGRES_PROGRAMS to programs with TLS, such as the system's",
    ),
    Cause(
        "SSL error",
        Kind.SERVER_NOT_TRUSTED,
        "pass its CA certificate: DATABASE_URL=…?sslmode=verify-full&sslrootcert=FILE",
    ),
    Cause(
        "does not match host name",
        Kind.SERVER_NOT_TRUSTED,
        "use the host name of the server's certificate in DATABASE_URL",
    ),
    Cause(
        "no pg_hba.conf entry for replication",
        Kind.REPLICATION_REFUSED,
        "allow it in the server's pg_hba.conf: host replication USER ADDRESS scram-sha-256",
    ),
    Cause(
        "no pg_hba.conf entry",
        Kind.CONNECTION_REFUSED,
        "allow it in pg_hba.conf, or ask for TLS in DATABASE_URL: ?sslmode=verify-full",
    ),
    Cause(
        "permission denied to start WAL sender|must be superuser or replication role",
        Kind.PERMISSION_DENIED,
        "ALTER ROLE ... REPLICATION, or use a role that has it",
    ),
    Cause(
        "WAL summar",
        Kind.SUMMARIES_MISSING,
        "take a full base backup: template-service pitr base-backup --full",
    ),
    Cause(
        # Of a standby that has replayed no checkpoint since the last base backup.
        "manifest requires WAL from",
        Kind.SUMMARIES_MISSING,
        "take a full base backup: template-service pitr base-backup --full",
    ),
    Cause(
        "requested recovery stop point is before consistent recovery point",
        Kind.TARGET_BEFORE_BACKUP,
        "restore from an older base backup: --from NAME (template-service pitr status)",
    ),
    # The target is in the archive: that was checked before the server was started.
    Cause(
        "recovery ended before configured recovery target was reached|has wrong size",
        Kind.WAL_DAMAGED,
        "restore to a time before the damage, or from a base backup after it: "
        "template-service pitr status",
    ),
    Cause(
        'ERROR: +role "[^"]*" does not exist',
        Kind.ROLES_MISSING,
        "create the roles of the backup first: template-service backup restore --roles",
    ),
    Cause(
        "unrecognized .*parameter",
        Kind.RESTORE_FAILED,
        "create backups with programs of the server's own version: set "
        "TEMPLATE_SERVICE_POSTGRES_PROGRAMS",
    ),
    Cause(
        "^pg_restore: .*(unsupported version|does not appear to be a valid|did not find magic "
        "string|could not read from input file|corrupt)",
        Kind.ARCHIVE_UNREADABLE,
        "choose another backup (template-service backup list); if a newer pg_dump created this "
        "one, set TEMPLATE_SERVICE_POSTGRES_PROGRAMS to newer programs",
    ),
    Cause("could not translate host name", Kind.SERVER_AWAY, "check the host in DATABASE_URL"),
    Cause(
        "connection to server",
        Kind.SERVER_AWAY,
        "check that PostgreSQL runs and DATABASE_URL is right",
    ),
    Cause("server closed the connection", Kind.SERVER_AWAY, "retry when PostgreSQL is back"),
    Cause(
        "permission denied",
        Kind.PERMISSION_DENIED,
        "use a role that may do this: template-service db roles apply",
    ),
)


def find_cause(text: str) -> Cause | None:
    """Return the first cause whose pattern is in a text."""
    return next((cause for cause in CAUSES if cause.find(text) is not None), None)


def program_error(program: str, status: int, errors: bytes) -> OperationError:
    """Return the error for a program of PostgreSQL that ended with ``status``.

    The message holds the last lines of its standard error, which name files, hosts, users and
    databases. The kind is one of :data:`CAUSES`, else the program's name with ``_failed``.
    """
    text = errors.decode(errors="replace")
    lines = [line.strip() for line in text.splitlines()]
    shown = [line for line in lines if line and not line.startswith(_CONFIDENTIAL)]
    reported = " / ".join(shown[-_SHOWN_LINES:]) or "no error message"
    ended = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    message = f"{program} {ended}: {reported}"
    if (cause := find_cause(text)) is None:
        return OperationError(f"{program}_failed", message, RETRY)
    return OperationError(cause.kind, message, cause.remedy)


def connection_error(error: psycopg.Error, server: str = "the database") -> OperationError:
    """Return the error for a connection that was refused or lost."""
    message = f"{server} cannot be used: {error.diag.message_primary or refusal(error)}"
    if (cause := find_cause(str(error))) is None:
        return OperationError(
            Kind.SERVER_AWAY, message, "check that PostgreSQL runs and DATABASE_URL is right"
        )
    return OperationError(cause.kind, message, cause.remedy)


@contextmanager
def permanent_errors_explained() -> Iterator[None]:
    """Turn errors of PostgreSQL that no retry can fix into operation errors."""
    try:
        yield
    except Exception as error:
        original = getattr(error, "orig", error)  # SQLAlchemy wraps the error of psycopg
        cause = find_cause(str(original)) if isinstance(original, psycopg.Error) else None
        if cause is None or cause.kind not in _PERMANENT:
            raise
        raise OperationError(cause.kind, str(original).splitlines()[0], cause.remedy) from None


def refusal(error: BaseException | None) -> str:
    """Return the reason of a refused connection on one line, of each host if there are several."""
    first, *others = str(error).strip().splitlines() or ["no error message"]
    return "; ".join(line.removeprefix("- ") for line in others if line[:2] == "- ") or first
