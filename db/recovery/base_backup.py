"""Take and verify a base backup, then apply retention to base backups and archived WAL."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from db.backup.encryption import recipients
from db.cluster.owned import OwnedDirectory
from db.commands import physical
from db.commands.core import Client
from db.disk import sync
from db.errors import Kind, OperationError
from db.hooks import run_hook
from db.locks import alone
from db.recovery import catalogue, figures, server
from db.recovery.catalogue import DATA, MANIFEST, BaseBackup
from db.recovery.object_path import AnyPath
from db.recovery.packed import manifest_of, pack
from db.recovery.policy import RecoveryPolicy
from db.recovery.retention import retained
from db.recovery.segments import Archive, expire_wal, leads_to
from db.recovery.setup import require_own
from db.recovery.verify_backups import unlisted_checksums

NAME: Final = "maintenance.base_backup"
INCREMENTAL_SINCE: Final = 17


@dataclass(frozen=True, slots=True)
class BaseBackupResult:
    """Result of taking a base backup.

    Attributes
    ----------
    kind
        ``full`` or ``incremental``.
    parent
        Name of the backup that it builds on.
    backup
        The new one; ``None`` for a dry run, or when it was skipped.
    removed
        Names of the backups that retention removed.
    skipped
        Whether another run was in progress.
    """

    kind: str = "full"
    parent: str | None = None
    backup: BaseBackup | None = None
    removed: tuple[str, ...] = ()
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a base backup is stored, the keys for it, and where it is until then."""

    policy: RecoveryPolicy
    recipients: Sequence[object]
    scratch: str

    @property
    def is_packed(self) -> bool:
        """Whether the data directory is stored as one file."""
        return self.policy.compress or bool(self.policy.target or self.recipients)


def base_backup(  # noqa: PLR0913 - options by name
    client: Client,
    engine: Engine,
    policy: RecoveryPolicy,
    *,
    source: Client | None = None,
    full: bool = False,
    dry_run: bool = False,
    progress: physical.Progress | None = None,
    scratch: str = "",
) -> BaseBackupResult:
    """Take a base backup and verify it; then apply retention to backups and archived WAL.

    It is incremental from PostgreSQL 17 on, if the server summarizes its WAL and the last full
    one is younger than the policy's ``full_days``, unless ``full`` is given.

    Raises OperationError: ``archiving_off``, ``is_standby``, ``programs_do_not_fit``,
    ``tablespaces``, ``other_cluster``, ``archive_of_another_cluster``, ``backup_damaged``, a
    problem of the recipients, or a kind of :mod:`db.commands.physical`. Nothing was added and
    nothing removed. ``hook_failed``: so too, if it is the command before it; else the base backup
    stays.

    Parameters
    ----------
    client
        Of the primary.
    source
        Of the server that is copied: a standby; by default the primary.
    scratch
        Where the copy is until it is encrypted; by default the system's temporary directory.
    """
    source = source or client
    with alone(engine, NAME) as is_alone:
        if not is_alone:
            return BaseBackupResult(skipped=True)
        facts = server.server_facts(engine)
        backups = catalogue.read(policy.storage.base)
        _check(client, facts, policy, backups)
        parent = None if full else _parent(policy, facts, backups)
        kind = "full" if parent is None else "incremental"
        based_on = None if parent is None else parent.name
        if dry_run:
            return BaseBackupResult(kind, based_on)
        about = {"directory": str(policy.storage.root)}
        before = about | {"kind": kind, "parent": based_on}
        run_hook(policy.before_base_backup, "before_base_backup", before)
        catalogue.remove_leftovers(policy.storage.base)
        keys = recipients(policy.recipients_file) if policy.recipients_file else []
        place = _Place(policy, keys, scratch)
        try:
            backup = _take(source, engine, place, facts, parent, progress)
        except OperationError as error:
            if error.kind != Kind.SUMMARIES_MISSING:
                raise
            # Summaries were off for a while, or have expired: a full backup needs none.
            backup = _take(source, engine, place, facts, None, progress)
        removed = _apply_retention(policy, [*backups, backup])
        entry = about | {"entry": catalogue.facts(backup)}
        run_hook(policy.after_base_backup, "after_base_backup", entry)
    return BaseBackupResult(backup.kind, backup.parent, backup, removed)


def _check(
    client: Client, facts: server.ServerFacts, policy: RecoveryPolicy, backups: list[BaseBackup]
) -> None:
    server.require_archiving(facts)
    major, of_server = client.programs.major("pg_basebackup"), facts.version // 10_000
    if major != of_server:
        raise OperationError(
            Kind.PROGRAMS_DO_NOT_FIT,
            f"pg_basebackup is from PostgreSQL {major}, the server is PostgreSQL {of_server}: its "
            "backups could not be verified",
            f"set TEMPLATE_SERVICE_POSTGRES_PROGRAMS to the programs of PostgreSQL {of_server}",
        )
    if facts.tablespaces:
        raise OperationError(
            "tablespaces",
            f"the server has tablespaces, which are not supported: {', '.join(facts.tablespaces)}",
            "move their tables to pg_default, and drop them",
        )
    if backups and backups[-1].system != facts.system:
        raise OperationError(
            "other_cluster",
            f"the base backups in the directory belong to cluster {backups[-1].system}, the server "
            f"is cluster {facts.system}",
            "set TEMPLATE_SERVICE_RECOVERY_DIRECTORY to another directory, and run: "
            "template-service pitr setup",
        )
    require_own(policy, facts.system)


def _parent(
    policy: RecoveryPolicy, facts: server.ServerFacts, backups: list[BaseBackup]
) -> BaseBackup | None:
    """Return the backup that an incremental one builds on, or ``None`` when a full one is due."""
    young = facts.now - timedelta(days=policy.full_days)
    if facts.version // 10_000 < INCREMENTAL_SINCE or not facts.summarizes or not backups:
        return None
    newest = backups[-1]
    try:
        whole = catalogue.chain(backups, newest.name)[0]
    except OperationError:
        return None  # a parent is missing: nothing more is built on that chain
    archive = Archive.of(policy, facts.segment_bytes, facts.system)
    follows = leads_to(archive.history, newest.timeline, newest.stop, archive.newest_timeline)
    return newest if whole.started_at > young and follows else None


def _take(  # noqa: PLR0913, PLR0917 - one step of base_backup, with its parameters
    client: Client,
    engine: Engine,
    place: _Place,
    facts: server.ServerFacts,
    parent: BaseBackup | None,
    progress: physical.Progress | None,
) -> BaseBackup:
    started = datetime.now(UTC)
    name = started.strftime("%Y%m%dT%H%M%S.%fZ")
    base, keys = place.policy.storage.base, place.recipients
    with _drafts(place, base / name) as (draft, workspace):
        data = workspace / DATA
        manifest = None if parent is None else _copied_manifest(base / parent.name, workspace)
        started_at = server.server_facts(engine).now
        physical.base_backup(
            client,
            data,
            label=f"template-service {name}",
            parent_manifest=manifest,
            progress=progress,
        )
        ended_at = server.server_facts(engine).now
        physical.verify(client.programs, data)
        timeline, start, stop = _wal_range(data)
        backup = BaseBackup(
            name=name,
            parent=None if parent is None else parent.name,
            started_at=started_at,
            ended_at=ended_at,
            server=facts.version,
            superuser=facts.superuser,
            system=facts.system,
            timeline=timeline,
            start_lsn=start,
            stop_lsn=stop,
            segment_bytes=facts.segment_bytes,
            bytes=sum(path.lstat().st_size for path in data.rglob("*") if not path.is_dir()),
            checksums=unlisted_checksums(data),
            packed_bytes=(pack(workspace, draft, keys) if place.is_packed else None),
        )
        sync(catalogue.write(draft, backup))
    return backup


@contextmanager
def _drafts(place: _Place, final: AnyPath) -> Iterator[tuple[Path, Path]]:
    """Yield the directories of what is stored, and of the data directory until it is packed.

    What is encrypted is never in the archive as it was before.

    Raises OperationError: ``disk_full``.
    """
    if not place.recipients and not place.policy.target:
        with catalogue.draft(final) as draft:
            yield draft, draft
        return
    try:
        owned = OwnedDirectory("restore", Path(place.scratch) if place.scratch else None)
    except OSError as error:
        raise OperationError(
            Kind.DISK_FULL,
            f"no temporary directory can be created: {error.strerror}",
            "set TEMPLATE_SERVICE_SCRATCH_DIRECTORY to a directory with space for the database",
        ) from None
    with owned as directory, catalogue.draft(final, directory.path) as draft:
        yield draft, directory.path


def _copied_manifest(folder: AnyPath, workspace: Path) -> Path:
    """Return a file with the manifest of a base backup, for pg_basebackup."""
    manifest = manifest_of(folder)
    if isinstance(manifest, Path):
        return manifest
    copy = workspace / "parent_manifest"
    copy.write_bytes(manifest.read_bytes())
    return copy


def _wal_range(data: Path) -> tuple[int, str, str]:
    """Return timeline, first and last LSN of the WAL that a backup needs."""
    ranges = json.loads((data / MANIFEST).read_bytes())["WAL-Ranges"]
    first, last = ranges[0], ranges[-1]
    return int(last["Timeline"]), str(first["Start-LSN"]), str(last["End-LSN"])


def _apply_retention(policy: RecoveryPolicy, backups: list[BaseBackup]) -> tuple[str, ...]:
    window = datetime.now(UTC) - timedelta(days=policy.window_days)
    retention = retained(backups, policy.keep, window if policy.window_days else None)
    figures.expire(policy, [each for each in backups if each.name not in retention.remove])
    for name in retention.remove:
        catalogue.remove(policy.storage.base / name)
    if retention.oldest_segment is not None:
        expire_wal(policy.storage.wal, retention.oldest_segment)
    return retention.remove
