"""Backup policy: target, retention, encryption."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt


@dataclass(frozen=True, slots=True)
class BackupPolicy:
    """Policy of dumps."""

    target: Annotated[
        str, "Target of dumps: a directory, or object storage as s3://bucket/prefix."
    ] = "backups"
    recipients_file: Annotated[
        str,
        "File of age recipients, one a line, for whom dumps are encrypted. Empty: no encryption.",
    ] = ""
    identity_file: Annotated[
        str, "File of the age identity that decrypts dumps, for drills and restores."
    ] = ""
    keep_days: Annotated[int, Gt(0), "Days after which a dump expires."] = 7
    # Three weekly drills: a fault that one drill misses has two older proofs behind it.
    keep_verified: Annotated[int, Gt(0), "Number of verified dumps to keep regardless of age."] = 3
    # Longer than a dump: it may be the only copy of what somebody misses a week later.
    keep_safety_days: Annotated[
        int, Gt(0), "Days after which a safety dump, taken before a restore, expires."
    ] = 14
    scratch: Annotated[
        str,
        "Directory for restore drills and temporary files, with room for the database. Empty: "
        "the system's.",
    ] = ""
    # A weekly drill, and a day for the one that was late.
    alarm_days: Annotated[
        int,
        Gt(0),
        "Days without a verified dump after which the doctor reports a problem.",
    ] = 8
