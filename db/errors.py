"""Errors of operations on the database, for operators."""

import errno
from enum import StrEnum
from typing import Final


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
    NOT_DECRYPTABLE = "not_decryptable"
    NOT_FULL = "not_full"
    NOT_REACHABLE = "not_reachable"
    NO_PRIMARY = "no_primary"
    NO_TLS = "no_tls"
    PASSWORD_REFUSED = "password_refused"  # noqa: S105 - a kind of error
    PERMISSION_DENIED = "permission_denied"
    PROGRAMS_DO_NOT_FIT = "programs_do_not_fit"
    PROGRAMS_MISSING = "programs_missing"
    REPLICATION_REFUSED = "replication_refused"
    RESTORE_FAILED = "restore_failed"
    ROLES_MISSING = "roles_missing"
    ROW_TOO_LONG = "row_too_long"
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


FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REMEDIES: Final = {
    errno.EACCES: "check its owner and permissions, or choose another directory",
    errno.EPERM: "check its owner and permissions, or choose another directory",
    errno.EROFS: "choose a directory on a file system that can be written to",
    errno.ENOENT: "check the path; its directory must exist",
    errno.ENOTDIR: "check the path: a part of it is a file, not a directory",
    errno.EISDIR: "name a file, not a directory",
    errno.EEXIST: "something of that name is in the way: choose another path",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.EIO: "check the disk, and the system's log",
}


def file_error(error: OSError, *, what: str = "a file") -> OperationError | None:
    """Return the error for an operation on a file; ``None`` for one on a connection.

    Code that knows what the file is for raises an error of its own.

    Parameters
    ----------
    what
        The file, where the system does not name it.
    """
    if error.errno is None or (error.filename is None and error.errno not in FULL | {errno.EIO}):
        return None
    name = what if error.filename is None else str(error.filename)
    if error.errno in FULL:
        return OperationError(
            Kind.DISK_FULL, f"{name} cannot be written: {error.strerror}", "free some space"
        )
    remedy = _REMEDIES.get(error.errno, "check the path and its file system")
    return OperationError("file_error", f"{name} cannot be used: {error.strerror}", remedy)
