"""``maintenance.backup``, ``verify_backup`` and ``base_backup``."""

from datetime import UTC, datetime
from functools import partial

from db.backup.catalogue import open_catalogue
from db.backup.create import BackupRunningError, check_ready, create
from db.backup.drill import drill, to_drill
from db.backup.prune import prune
from tasks.base import maintenance
from tasks.messages.backups import BackedUp, BaseBackedUp, VerifiedBackup
from tasks.messages.maintenance import Maintain
from tasks.runtime import Runtime
from tasks.services import base_backups
from tasks.services.drills import render_newest


@maintenance("maintenance.backup", Maintain)
def backup(message: Maintain, process: Runtime) -> BackedUp:
    """Dump the database, verify the dump, then expire old dumps."""
    configuration = process.configuration
    client, policy = configuration.client, configuration.operations.backup
    entry = None
    if message.dry_run:
        check_ready(client, policy)
    else:
        try:
            entry = create(client, policy)
        except BackupRunningError:
            return BackedUp(skipped=True)
    pruned = prune(policy, client.programs, now=datetime.now(UTC), dry_run=message.dry_run)
    if entry is None:
        return BackedUp(dry_run=True, expired=tuple(pruned.deleted), kept=len(pruned.kept))
    return BackedUp(
        backup=entry.name,
        size=entry.size,
        tables=len(entry.tables),
        rows=sum(facts.rows for facts in entry.tables.values()),
        seconds=round((entry.finished_at - entry.started_at).total_seconds(), 3),
        expired=tuple(pruned.deleted),
        kept=len(pruned.kept),
    )


@maintenance("maintenance.verify_backup", Maintain)
def verify_backup(message: Maintain, process: Runtime) -> VerifiedBackup:
    """Restore the newest full backup into a private server and compare all data."""
    policy = process.configuration.operations.backup
    if message.dry_run:
        entry = to_drill(open_catalogue(policy), None)
        return VerifiedBackup(dry_run=True, backup=entry.name, size=entry.size)
    render = partial(render_newest, process=process)
    done = drill(process.configuration.client.programs, policy, render=render)
    return VerifiedBackup(
        backup=done.name,
        size=done.size,
        revision=done.revision,
        rows=done.rows,
        roles=done.roles,
        objects=done.objects,
        rendered=tuple(done.rendered),
        seconds=done.seconds,
    )


@maintenance("maintenance.base_backup", Maintain)
def base_backup(message: Maintain, process: Runtime) -> BaseBackedUp:
    """Take and verify a base backup for point-in-time recovery, then expire old ones."""
    return base_backups.take(message, process.configuration)
