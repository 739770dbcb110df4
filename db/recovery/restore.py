"""Make a data directory as it was at a moment, and prove it before it gets its name."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

from db.cluster.processes import Rights
from db.cluster.programs import Programs
from db.cluster.unprivileged import give, user_for
from db.commands import physical
from db.errors import OperationError
from db.recovery.catalogue import DATA, BaseBackup
from db.recovery.choice import Choice, choose
from db.recovery.policy import RecoveryPolicy
from db.recovery.proof import Proof, prove
from db.recovery.segments import parsed_lsn, segment_number
from db.recovery.target import Target

MANIFEST: Final = "backup_manifest"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Restored:
    """What was made.

    Attributes
    ----------
    directory
        The new data directory, shut down cleanly and ready to be started.
    base
        Names of the base backups that it was made of, the full one first.
    proof
        What was found when it was started.
    seconds
        How long it took.
    """

    directory: Path
    base: tuple[str, ...]
    proof: Proof
    seconds: float


def restore(  # noqa: PLR0913 - by name, and each a decision of the operator's
    programs: Programs,
    policy: RecoveryPolicy,
    database: str,
    target: Target,
    into: Path,
    *,
    base: str | None = None,
    timeline: int | None = None,
    say: Say = lambda _: None,
) -> Restored:
    """Make a new data directory from a base backup and archived WAL, and prove it.

    It is made beside ``into`` under another name, recovered by a server that nobody else can
    reach, looked at, stopped, and named ``into`` only then.

    Parameters
    ----------
    database
        Name of the database to look into as a proof; all others are restored with it.
    into
        The data directory to make. Its folder must exist, and it must not.
    base
        The base backup to begin with; by default the newest that ended before the target.
    timeline
        The one to go along; by default the newest in the archive.
    say
        Is told each step.

    Raises
    ------
    OperationError
        ``directory_exists``, ``directory_missing``, ``disk_full``, ``programs_do_not_fit``,
        ``backup_damaged``, those of :func:`db.recovery.choice.choose` and of
        :func:`db.recovery.proof.prove`. Nothing is left of the attempt then.
    """
    start = monotonic()
    into = into.absolute()
    if into.exists():
        raise OperationError(
            "directory_exists",
            f"{into} is there already, and nothing is restored over anything",
            "name another folder, or move this one away",
        )
    if not into.parent.is_dir():
        raise OperationError(
            "directory_missing", f"there is no folder {into.parent}", "make it, or name another"
        )
    choice = choose(programs, policy, target, base=base, timeline=timeline)
    _check_programs(programs, choice.chain[-1])
    for backup in choice.chain:
        say(f"verifying base backup {backup.name} ({backup.kind})")
        physical.verify(programs, policy.base / backup.name / DATA)
    with _draft(into, choice.chain) as draft:
        say(f"building the data directory from {choice.chain[-1].name}")
        _build(programs, policy, choice.chain, draft)
        _own(draft, _owner(policy))
        say(f"replaying WAL up to {target}")
        proof = prove(
            programs,
            draft,
            archive=policy.wal,
            target=target,
            timeline=choice.timeline,
            user=choice.chain[-1].superuser,
            database=database,
        )
        if target == Target():
            _check_end(choice, proof)
    return Restored(into, tuple(backup.name for backup in choice.chain), proof, monotonic() - start)


def _check_programs(programs: Programs, backup: BaseBackup) -> None:
    if programs.major("postgres") != backup.major:
        raise OperationError(
            "programs_do_not_fit",
            f"base backup {backup.name} is of PostgreSQL {backup.major} and the programs here are "
            f"of {programs.major('postgres')}",
            f"set TEMPLATE_SERVICE_POSTGRES_PROGRAMS to those of PostgreSQL {backup.major}",
        )


@contextmanager
def _draft(into: Path, chain: Sequence[BaseBackup]) -> Iterator[Path]:
    """Yield a path for the data directory, which becomes ``into`` when the block ends well."""
    needed = max(backup.bytes for backup in chain)
    if (free := shutil.disk_usage(into.parent).free) < needed:
        raise OperationError(
            "disk_full",
            f"the database takes {needed >> 20} MiB, and {into.parent} has {free >> 20} MiB left",
            "free some space, or restore --into another disk",
        )
    draft = into.with_name(f".{into.name}.partial")
    if draft.exists():
        shutil.rmtree(draft)
    try:
        yield draft
        draft.rename(into)
        descriptor = os.open(into.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    finally:
        if draft.exists():
            shutil.rmtree(draft)


def _build(
    programs: Programs, policy: RecoveryPolicy, chain: Sequence[BaseBackup], draft: Path
) -> None:
    folders = [policy.base / backup.name / DATA for backup in chain]
    if len(folders) == 1:
        # PostgreSQL syncs all of it to disk when it starts on what is no clean shutdown.
        shutil.copytree(folders[0], draft, symlinks=True)
    else:
        physical.combine(programs, folders, draft)
        physical.verify(programs, draft, parse_wal=False)
    # It describes the backup, which this will soon not be.
    (draft / MANIFEST).unlink()


def _owner(policy: RecoveryPolicy) -> Rights:
    """Return whose the directory shall be: the archive's owner is the server's user."""
    return user_for(policy.wal)


def _own(draft: Path, owner: Rights) -> None:
    if owner.user is not None:
        for path in (draft, *draft.rglob("*")):
            give(path, owner)


def _check_end(choice: Choice, proof: Proof) -> None:
    """Refuse a recovery that took damaged WAL for the end of the archive."""
    if not choice.names:
        return
    size = choice.chain[-1].segment_bytes
    replayed = (parsed_lsn(proof.lsn) - 1) // size
    if replayed < segment_number(choice.names[-1], size):
        raise OperationError(
            "wal_damaged",
            f"WAL could be replayed to {proof.lsn} only, and the archive goes on to "
            f"{choice.names[-1]}",
            "restore to a time before it, or from a base backup after it: "
            "template-service pitr status",
        )
