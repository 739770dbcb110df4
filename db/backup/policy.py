"""What an operator decides of dumps."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BackupPolicy:
    """Where dumps go, for whom they are encrypted, and how long they stay.

    Attributes
    ----------
    target
        A folder, or object storage as ``s3://bucket/prefix``.
    recipients_file, identity_file
        Files of age recipients and of the age identity; empty for none.
    keep_days
        Days after which a dump expires.
    keep_verified
        How many verified dumps stay whatever their age.
    scratch
        Folder for files under way, empty for the system's.
    """

    target: str = "backups"
    recipients_file: str = ""
    identity_file: str = ""
    keep_days: int = 7
    keep_verified: int = 3
    scratch: str = ""
