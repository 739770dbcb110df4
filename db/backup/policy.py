"""Backup policy: target, retention, encryption."""

import re
from dataclasses import dataclass
from typing import Annotated, Final

from annotated_types import Interval, Predicate

from db.bounds import COUNT, DAYS

# A bucket's name is 3 to 63 characters:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
OBJECT_STORAGE: Final = re.compile(r"s3://[A-Za-z0-9._-]{3,63}(/[^?#]*)?")


def _is_target(target: str) -> bool:
    """Return whether a text may name a target, and is not empty or mistyped."""
    if "\0" in target or target != target.strip() or not target:
        return False
    is_url = re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", target) is not None
    return not is_url or OBJECT_STORAGE.fullmatch(target) is not None


@dataclass(frozen=True, slots=True)
class BackupPolicy:
    """Policy of dumps."""

    target: Annotated[
        str,
        Predicate(_is_target),
        "Target of dumps: a directory, or object storage as s3://bucket/prefix. A relative path is "
        "below .local of the checkout, or below /var/lib/template-service without one.",
    ] = "backups"
    recipients_file: Annotated[
        str,
        "File of age recipients, one a line, for whom dumps are encrypted. Empty: no encryption.",
    ] = ""
    identity_file: Annotated[
        str, "File of the age identity that decrypts dumps, for drills and restores."
    ] = ""
    keep_days: Annotated[int, DAYS, "Days after which a dump expires."] = 7
    # Three weekly drills: a fault that one drill misses has two older proofs behind it.
    keep_verified: Annotated[int, COUNT, "Number of verified dumps to keep regardless of age."] = 3
    # Longer than a dump: it may be the only copy of data that is missed a week later.
    keep_safety_days: Annotated[
        int, DAYS, "Days after which a safety dump, taken before a restore, expires."
    ] = 14
    scratch: Annotated[
        str,
        "Directory for restore drills and temporary files, with room for the database. Empty: "
        "the system's.",
    ] = ""
    # A weekly drill, and a day for the one that was late.
    alarm_days: Annotated[
        int,
        DAYS,
        "Days without a verified dump after which the doctor reports a problem.",
    ] = 8
    before_dump: Annotated[
        str,
        "Command to run before a dump, which is not taken if it fails; it gets the facts as JSON "
        "on standard input. Empty: none.",
    ] = ""
    after_dump: Annotated[
        str,
        "Command to run after a dump, with its catalog entry as JSON on standard input. The dump "
        "stays if it fails. Empty: none.",
    ] = ""
    before_restore: Annotated[
        str,
        "Command to run before a restore, with the catalog entry as JSON on standard input; "
        "nothing is restored if it fails. Empty: none.",
    ] = ""
    after_restore: Annotated[
        str,
        "Command to run after a restore that succeeded, with the catalog entry as JSON on standard "
        "input. Empty: none.",
    ] = ""
    # A dump of 200 GB at 10 MB/s. The cleanups have the limit of the other maintenance.
    time_limit: Annotated[
        int,
        Interval(ge=120, le=7 * 86_400),
        "Seconds after which a scheduled dump, base backup, drill or recording of row counts "
        "and checksums is interrupted. It is not retried.",
    ] = 6 * 3600
