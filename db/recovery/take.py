"""Take a base backup, verify it, and let go of those that are no longer needed."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from db.cluster.processes import private_directory
from db.commands import physical
from db.commands.core import Client
from db.errors import OperationError
from db.locks import alone
from db.recovery import catalogue, server
from db.recovery.catalogue import DATA, PARTIAL, BaseBackup
from db.recovery.policy import RecoveryPolicy
from db.recovery.retention import retained
from db.recovery.segments import Archive, leads_to

NAME: Final = "maintenance.base_backup"
MANIFEST: Final = "backup_manifest"
INCREMENTAL_SINCE: Final = 17


@dataclass(frozen=True, slots=True)
class Taken:
    """What was done.

    Attributes
    ----------
    kind
        ``full`` or ``incremental``.
    parent
        What it builds on.
    backup
        The new one; ``None`` for a dry run, or when it was skipped.
    removed
        Names of those that were removed.
    skipped
        Another one is being taken.
    """

    kind: str = "full"
    parent: str | None = None
    backup: BaseBackup | None = None
    removed: tuple[str, ...] = ()
    skipped: bool = False


def take(  # noqa: PLR0913 - three things to work with, and options by name
    client: Client,
    engine: Engine,
    policy: RecoveryPolicy,
    *,
    full: bool = False,
    dry_run: bool = False,
    progress: physical.Progress | None = None,
) -> Taken:
    """Take a base backup and verify it; then apply retention to backups and archived WAL.

    It is incremental from PostgreSQL 17 on, when the server summarizes its WAL and the last full
    one is younger than the policy says, unless ``full`` is wanted.

    Raises
    ------
    OperationError
        ``archiving_off``, ``is_standby``, ``programs_do_not_fit``, ``tablespaces``,
        ``other_cluster``, ``backup_damaged``, or a kind of :mod:`db.commands.physical`. Nothing
        was added then, and nothing removed.
    """
    with alone(engine, NAME) as is_alone:
        if not is_alone:
            return Taken(skipped=True)
        facts = server.ask(engine)
        backups = catalogue.read(policy.base)
        _check(client, facts, backups)
        parent = None if full else _parent(policy, facts, backups)
        if dry_run:
            kind = "full" if parent is None else "incremental"
            return Taken(kind, None if parent is None else parent.name)
        private_directory(policy.base)
        _remove_leftovers(policy.base)
        try:
            backup = _take(client, engine, policy, facts, parent, progress)
        except OperationError as error:
            if error.kind != "summaries_missing":
                raise
            # They were switched off for a while, or have expired: a full one needs none.
            backup = _take(client, engine, policy, facts, None, progress)
        removed = _retain(client, policy, [*backups, backup])
    return Taken(backup.kind, backup.parent, backup, removed)


def _check(client: Client, facts: server.Server, backups: list[BaseBackup]) -> None:
    if facts.in_recovery:
        raise OperationError(
            "is_standby", "the server is a standby", "let DATABASE_URL name the primary"
        )
    if not facts.archives:
        raise OperationError(
            "archiving_off",
            "the server archives no WAL, without which a base backup leads to no other time",
            "run: template-service pitr setup",
        )
    major, of_server = client.programs.major("pg_basebackup"), facts.version // 10_000
    if major != of_server:
        raise OperationError(
            "programs_do_not_fit",
            f"pg_basebackup is of PostgreSQL {major} and the server of {of_server}: what one "
            "writes, the other's programs could not verify",
            f"set TEMPLATE_SERVICE_POSTGRES_PROGRAMS to those of PostgreSQL {of_server}",
        )
    if facts.tablespaces:
        raise OperationError(
            "tablespaces",
            f"the server has tablespaces ({', '.join(facts.tablespaces)}), which this does not "
            "back up",
            "move what is in them to pg_default, and drop them",
        )
    if backups and backups[-1].system != facts.system:
        raise OperationError(
            "other_cluster",
            f"the base backups in the folder are of cluster {backups[-1].system}, and the server "
            f"is {facts.system}",
            "set TEMPLATE_SERVICE_RECOVERY_DIRECTORY to another folder, and run: "
            "template-service pitr setup",
        )


def _parent(
    policy: RecoveryPolicy, facts: server.Server, backups: list[BaseBackup]
) -> BaseBackup | None:
    """Return what an incremental one shall build on, or ``None`` when a full one is due."""
    young = facts.now - timedelta(days=policy.full_days)
    if facts.version // 10_000 < INCREMENTAL_SINCE or not facts.summarizes or not backups:
        return None
    newest = backups[-1]
    try:
        whole = catalogue.chain(backups, newest.name)[0]
    except OperationError:
        return None  # a link is missing: nothing more is built on that chain
    history = Archive.read(policy.wal, facts.segment_bytes)
    on_the_way = leads_to(history.history, newest.timeline, newest.stop, history.newest_timeline)
    return newest if whole.started_at > young and on_the_way else None


def _take(  # noqa: PLR0913, PLR0917 - all that one backup is made of
    client: Client,
    engine: Engine,
    policy: RecoveryPolicy,
    facts: server.Server,
    parent: BaseBackup | None,
    progress: physical.Progress | None,
) -> BaseBackup:
    started = datetime.now(UTC)
    name = started.strftime("%Y%m%dT%H%M%S.%fZ")
    with _draft(policy.base / name) as draft:
        data = draft / DATA
        manifest = None if parent is None else policy.base / parent.name / DATA / MANIFEST
        started_at = server.ask(engine).now
        physical.base_backup(
            client,
            data,
            label=f"template-service {name}",
            parent_manifest=manifest,
            progress=progress,
        )
        ended_at = server.ask(engine).now
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
        )
        _sync(catalogue.write(draft, backup))
    return backup


@contextmanager
def _draft(final: Path) -> Iterator[Path]:
    """Yield a folder that gets its name when the block ends well, and else is removed."""
    draft = final.with_name(f"{final.name}{PARTIAL}")
    draft.mkdir(mode=0o700)
    try:
        yield draft
        _sync(draft)
        draft.rename(final)
        _sync(final.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _wal_range(data: Path) -> tuple[int, str, str]:
    """Return timeline, first and last place of the WAL that a backup needs."""
    ranges = json.loads((data / MANIFEST).read_bytes())["WAL-Ranges"]
    first, last = ranges[0], ranges[-1]
    return int(last["Timeline"]), str(first["Start-LSN"]), str(last["End-LSN"])


def _retain(client: Client, policy: RecoveryPolicy, backups: list[BaseBackup]) -> tuple[str, ...]:
    decided = retained(backups, policy.keep)
    for name in decided.remove:
        _remove(policy.base / name)
    if decided.oldest_segment is not None:
        physical.remove_wal_before(client.programs, policy.wal, decided.oldest_segment)
    return decided.remove


def _remove(folder: Path) -> None:
    # Under a name that nobody takes for a backup, in case it is cut short.
    going = folder.with_name(f"{folder.name}{PARTIAL}")
    folder.rename(going)
    shutil.rmtree(going)


def _remove_leftovers(base: Path) -> None:
    for folder in base.glob(f"*{PARTIAL}"):
        shutil.rmtree(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
