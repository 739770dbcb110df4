"""Verify everything that a recovery would read: archived WAL and base backups."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from db.backup.encryption import SUFFIX as AGE
from db.backup.encryption import identities_for
from db.cluster.programs import Programs
from db.errors import Kind, OperationError
from db.recovery import catalogue, figures
from db.recovery.packed import packed_file
from db.recovery.plan import no_base_backup
from db.recovery.policy import RecoveryPolicy
from db.recovery.problems import Problem
from db.recovery.segments import Archive
from db.recovery.setup import SYSTEM
from db.recovery.verify_backups import backup_problems
from db.recovery.verify_wal import wal_problems

REMEDY: Final = (
    "take a new base backup: template-service pitr base-backup --full; copy the damaged files back "
    "if you have copies"
)


@dataclass(frozen=True, slots=True)
class Verified:
    """Result of verifying archive and base backups.

    Attributes
    ----------
    segments, segment_bytes
        Number and size of the segments that were read.
    base_backups, base_bytes
        Number and size of the base backups that were read.
    problems
        All that were found.
    """

    segments: int
    segment_bytes: int
    base_backups: int
    base_bytes: int
    problems: list[Problem]


def verify_recovery(programs: Programs, policy: RecoveryPolicy, scratch: str = "") -> Verified:
    """Read every archived segment and every base backup, and return all problems.

    Raises OperationError: ``no_base_backup``; ``archive_missing``; ``programs_do_not_fit``;
    ``disk_full``; ``not_decryptable``: the files are encrypted, and no identity is configured.

    Parameters
    ----------
    scratch
        Where packed base backups are unpacked; by default the system's temporary directory.
    """
    backups = catalogue.read(policy.storage.base)
    if not backups and not catalogue.unreadable(policy.storage.base):
        raise no_base_backup(policy)
    if not policy.storage.wal.is_dir():
        raise OperationError(
            "archive_missing",
            f"the archive directory {policy.storage.wal} does not exist",
            "mount it, or run: template-service pitr setup",
        )
    if backups:
        require_programs(programs, backups[-1])
    segment_bytes = backups[-1].segment_bytes if backups else 16 << 20
    system = _system(policy, backups)
    archive = Archive.of(policy, segment_bytes, system)
    _require_identities(archive, policy, backups)
    problems = [
        *_mark_problems(policy, backups),
        *(
            Problem("figures_unreadable", name, f"figures {name} cannot be read: delete the file")
            for name in figures.unreadable(policy)
        ),
        *wal_problems(programs, archive, backups),
        *backup_problems(
            programs, policy, backups, system or "", Path(scratch) if scratch else None
        ),
    ]
    return Verified(
        len(archive.sizes),
        sum(archive.sizes.values()),
        len(backups),
        sum(backup.bytes for backup in backups),
        problems,
    )


def _require_identities(
    archive: Archive, policy: RecoveryPolicy, backups: list[catalogue.BaseBackup]
) -> None:
    """Refuse encrypted files without the key to read them: damage would not be distinguishable.

    Raises OperationError: ``not_decryptable``, or a problem of the identity file.
    """
    files = [path.name for path in archive.packed.values()]
    files += [packed_file(policy.storage.base / backup.name).name for backup in backups]
    encrypted = next((name for name in files if name.endswith(AGE)), None)
    if encrypted is not None:
        identities_for(encrypted, policy.identity_file)


def require_programs(programs: Programs, backup: catalogue.BaseBackup) -> None:
    """Refuse programs of another major version than a base backup (``programs_do_not_fit``)."""
    if programs.major("postgres") != backup.major:
        raise OperationError(
            Kind.PROGRAMS_DO_NOT_FIT,
            f"base backup {backup.name} is from PostgreSQL {backup.major}, the programs in "
            f"{programs.folder} are from PostgreSQL {programs.major('postgres')}",
            f"set TEMPLATE_SERVICE_POSTGRES_PROGRAMS to the programs of PostgreSQL {backup.major}",
        )


def _system(policy: RecoveryPolicy, backups: list[catalogue.BaseBackup]) -> str | None:
    """Return the cluster's system identifier, recorded by ``pitr setup`` or in a backup."""
    mark = policy.storage.root / SYSTEM
    if mark.is_file() and (text := mark.read_text(errors="replace").strip()).isdigit():
        return text
    return backups[-1].system if backups else None


def _mark_problems(policy: RecoveryPolicy, backups: list[catalogue.BaseBackup]) -> list[Problem]:
    """Return the problem of the file that keeps other clusters from the archive, if any."""
    mark = policy.storage.root / SYSTEM
    found = mark.read_text(errors="replace").strip() if mark.is_file() else None
    if found is None:
        reason = "is missing: the archive command takes WAL of any cluster"
    elif not found.isdigit():
        reason = "is damaged: the archive command refuses all WAL"
    elif backups and all(backup.system != found for backup in backups):
        reason = f"names cluster {found}, the base backups are of {backups[-1].system}"
    else:
        return []
    return [Problem("mark", SYSTEM, f"{mark} {reason}; run: template-service pitr setup")]
