"""Errors of operations on the database, for operators."""

from enum import StrEnum


class Kind(StrEnum):
    """Kinds of errors that PostgreSQL's reports are mapped to, or that code decides on.

    Kinds that are raised in one place and handled nowhere are plain strings there.
    """

    ARCHIVE_UNREADABLE = "archive_unreadable"
    BACKUP_NOT_FOUND = "backup_not_found"
    CLIENT_TOO_OLD = "client_too_old"
    CONNECTION_REFUSED = "connection_refused"
    DISK_FULL = "disk_full"
    ENTRY_UNREADABLE = "entry_unreadable"
    EXTRA_MISSING = "extra_missing"
    INITDB_FAILED = "initdb_failed"
    MISSING_FILE = "missing_file"
    NEWER_SCHEMA = "newer_schema"
    NOT_FULL = "not_full"
    NOT_REACHABLE = "not_reachable"
    NO_PRIMARY = "no_primary"
    NO_TLS = "no_tls"
    PASSWORD_REFUSED = "password_refused"  # noqa: S105 - a kind of error
    PERMISSION_DENIED = "permission_denied"
    PROGRAMS_MISSING = "programs_missing"
    REPLICATION_REFUSED = "replication_refused"
    RESTORE_FAILED = "restore_failed"
    ROLES_MISSING = "roles_missing"
    SERVER_AWAY = "server_away"
    SERVER_FAILED = "server_failed"
    SERVER_NOT_TRUSTED = "server_not_trusted"
    SUMMARIES_MISSING = "summaries_missing"
    TARGET_BEFORE_BACKUP = "target_before_backup"
    TARGET_UNREADABLE = "target_unreadable"
    TARGET_UNWRITABLE = "target_unwritable"
    TIME_LIMIT = "time_limit"
    UNLISTED_FILE = "unlisted_file"
    WAL_DAMAGED = "wal_damaged"


class OperationError(Exception):
    """A backup, a restore, a recovery or another operation failed; it changed and lost nothing.

    Parameters
    ----------
    kind
        A short machine-readable cause, such as ``disk_full`` or ``checksum_mismatch``.
    message
        What is wrong, in one sentence. It names files, ids and sizes, never rows or passwords.
    remedy
        What to do, as a sentence or a command.
    """

    def __init__(self, kind: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        """Return message and remedy, for a person."""
        return f"{self.message}: {self.remedy}"
