"""Restore a data directory to a point in time; it gets its name once it has been recovered."""

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

from db.cluster.children import Rights
from db.cluster.programs import Programs
from db.cluster.unprivileged import give, user_for
from db.commands import physical
from db.disk import sync
from db.errors import Kind, OperationError
from db.recovery.catalogue import DATA, MANIFEST, BaseBackup
from db.recovery.commands import require_credentials
from db.recovery.packed import data_directories
from db.recovery.plan import RecoveryPlan, plan_recovery
from db.recovery.policy import RecoveryPolicy
from db.recovery.replay import Inspect, Proof, replay
from db.recovery.segments import parsed_lsn, segment_number
from db.recovery.target import Target
from db.recovery.verify import require_programs
from db.recovery.verify_backups import CONFIGURATION

# What "replica create" sets for a standby alone; a base backup of one has it.
_OF_STANDBY: Final = re.compile(
    r"(primary_conninfo|primary_slot_name|restore_command|recovery_\w+|archive_cleanup_command"
    r"|hot_standby|external_pid_file|listen_addresses|port|unix_socket_directories)\s*="
)
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RestoredCluster:
    """A restored data directory.

    Attributes
    ----------
    directory
        The new data directory, shut down cleanly and ready to be started.
    base
        Names of the base backups that it was built from, the full one first.
    proof
        Its state when it was started.
    seconds
        Duration of the restore.
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
    inspect: Inspect | None = None,
) -> RestoredCluster:
    """Restore a new data directory from a base backup and archived WAL, and check it.

    It is built next to ``into`` under another name, recovered by a private server, checked,
    stopped, and only then renamed to ``into``.

    Raises OperationError: ``directory_exists``, ``directory_missing``, ``disk_full``,
    ``programs_do_not_fit``, ``backup_damaged``, and as :func:`db.recovery.plan.plan_recovery` and
    :func:`db.recovery.replay.replay` do. The attempt leaves nothing behind.

    Parameters
    ----------
    database
        Name of the database to check; all others are restored with it.
    into
        The data directory to create. Its parent must exist.
    base
        The base backup to start from; by default the newest that ended before the target.
    timeline
        The timeline to follow; by default the newest in the archive.
    say
        Called with each step.
    inspect
        Checks the recovered server; its error ends the restore.
    """
    start = monotonic()
    into = into.absolute()
    if into.exists():
        raise OperationError(
            "directory_exists",
            f"directory {into} already exists and is never overwritten",
            "pass another directory, or move this one away",
        )
    if not into.parent.is_dir():
        raise OperationError(
            Kind.DIRECTORY_MISSING,
            f"directory {into.parent} does not exist",
            "create it, or pass another directory",
        )
    require_credentials(policy)
    plan = plan_recovery(programs, policy, target, base=base, timeline=timeline)
    require_programs(programs, plan.chain[-1])
    with _draft(into, plan.chain) as draft:
        _build(programs, policy, plan.chain, draft, say)
        # The owner of the archive is the server's user.
        _chown(draft, user_for(policy.wal))
        say(f"replaying WAL up to {target}")
        proof = replay(
            programs,
            draft,
            policy=policy,
            target=target,
            timeline=plan.timeline,
            user=plan.chain[-1].superuser,
            database=database,
            inspect=inspect,
        )
        if target == Target():
            _check_end(plan, proof)
    names = tuple(backup.name for backup in plan.chain)
    return RestoredCluster(into, names, proof, monotonic() - start)


@contextmanager
def _draft(into: Path, chain: Sequence[BaseBackup]) -> Iterator[Path]:
    """Yield a path for the data directory, which becomes ``into`` when the block ends well."""
    packed = sum(backup.bytes for backup in chain if backup.packed_bytes is not None)
    needed = max(backup.bytes for backup in chain) + (packed if len(chain) > 1 else 0)
    if (free := shutil.disk_usage(into.parent).free) < needed:
        raise OperationError(
            Kind.DISK_FULL,
            f"the database needs {needed >> 20} MiB, {into.parent} has {free >> 20} MiB free",
            "free some space, or restore --into another disk",
        )
    draft = into.with_name(f".{into.name}.partial")
    if draft.exists():
        shutil.rmtree(draft)
    try:
        yield draft
        draft.rename(into)
        sync(into.parent)
    finally:
        if draft.exists():
            shutil.rmtree(draft)


def _build(
    programs: Programs, policy: RecoveryPolicy, chain: Sequence[BaseBackup], draft: Path, say: Say
) -> None:
    with data_directories(policy, chain, draft.parent) as folders:
        for backup, folder in zip(chain, folders, strict=True):
            say(f"verifying base backup {backup.name} ({backup.kind})")
            physical.verify(programs, folder)
        say(f"building the data directory from {chain[-1].name}")
        if len(folders) > 1:
            physical.combine(programs, folders, draft)
            physical.verify(programs, draft, parse_wal=False)
        elif folders[0].name == DATA:
            # PostgreSQL syncs all files to disk when it starts without a clean shutdown before.
            shutil.copytree(folders[0], draft, symlinks=True)
        else:
            folders[0].rename(draft)
    # It describes the files of the backup, which the recovery changes.
    (draft / MANIFEST).unlink()
    if (draft / "standby.signal").exists():
        configuration = draft / CONFIGURATION
        lines = configuration.read_text().splitlines(keepends=True)
        configuration.write_text("".join(each for each in lines if not _OF_STANDBY.match(each)))


def _chown(draft: Path, owner: Rights) -> None:
    if owner.user is not None:
        for path in (draft, *draft.rglob("*")):
            give(path, owner)


def _check_end(plan: RecoveryPlan, proof: Proof) -> None:
    """Refuse a recovery that took damaged WAL for the end of the archive."""
    if not plan.names:
        return
    size = plan.chain[-1].segment_bytes
    replayed = (parsed_lsn(proof.lsn) - 1) // size
    if replayed < segment_number(plan.names[-1], size):
        raise OperationError(
            Kind.WAL_DAMAGED,
            f"WAL was replayed to {proof.lsn} only, and the archive continues to {plan.names[-1]}",
            "restore to a time before it, or from a base backup after it: "
            "template-service pitr status",
        )
