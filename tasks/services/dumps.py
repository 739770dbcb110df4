"""Dumps as jobs of maintenance: create and expire them, and prove the newest by a restore."""

from datetime import UTC, datetime
from functools import partial

from db.backup.catalogue import open_catalogue
from db.backup.create import BackupRunningError, check_ready, create
from db.backup.drill import drill, to_drill
from db.backup.prune import prune
from db.backup.source import Source
from tasks.messages.backups import BackedUp, VerifiedBackup
from tasks.messages.maintenance import Maintain
from tasks.runs import Run
from tasks.services.drills import render_newest


def backup(message: Maintain, run: Run) -> BackedUp:
    """Dump the database, verify the dump, and only then delete the dumps that have expired."""
    client, policy = run.configuration.client, run.configuration.operations.backup
    created = None
    if message.dry_run:
        source = check_ready(client, policy)
    else:
        try:
            created = create(client, policy)
        except BackupRunningError:
            return BackedUp(skipped=True)
        source = Source(created.system, created.database)
    pruned = prune(
        policy, client.programs, source=source, now=datetime.now(UTC), dry_run=message.dry_run
    )
    if created is None:
        return BackedUp(dry_run=True, expired=tuple(pruned.deleted), kept=len(pruned.kept))
    return BackedUp(
        backup=created.name,
        target=policy.target,
        size=created.size,
        tables=len(created.tables),
        rows=sum(facts.rows for facts in created.tables.values()),
        seconds=round((created.finished_at - created.started_at).total_seconds(), 3),
        expired=tuple(pruned.deleted),
        kept=len(pruned.kept),
    )


def verify(message: Maintain, run: Run) -> VerifiedBackup:
    """Restore the newest full backup into a private server, and compare all of it."""
    policy = run.configuration.operations.backup
    source = Source.read(run.configuration.client.url)
    if message.dry_run:
        entry = to_drill(open_catalogue(policy, source), None)
        return VerifiedBackup(dry_run=True, backup=entry.name, size=entry.size)
    render = partial(render_newest, process=run.process)
    verified = drill(run.configuration.client.programs, policy, render=render, source=source)
    return VerifiedBackup(
        backup=verified.name,
        size=verified.size,
        revision=verified.revision,
        rows=verified.rows,
        roles=verified.roles,
        objects=verified.objects,
        rendered=tuple(verified.rendered),
        seconds=verified.seconds,
    )
