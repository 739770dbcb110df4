"""Backup policy: target, retention, encryption."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BackupPolicy:
    """Policy of dumps.

    Attributes
    ----------
    target
        A directory, or object storage as ``s3://bucket/prefix``.
    recipients_file, identity_file
        Files of age recipients and of the age identity; empty for none.
    keep_days
        Days after which a dump expires.
    keep_verified
        Number of verified dumps to keep regardless of age.
    scratch
        Directory for temporary files, empty for the system's.
    """

    target: str = "backups"
    recipients_file: str = ""
    identity_file: str = ""
    keep_days: int = 7
    keep_verified: int = 3
    scratch: str = ""
