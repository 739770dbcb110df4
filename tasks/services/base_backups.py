"""Take base backups as a task."""

from typing import Final

from db.errors import OperationError
from db.recovery.base_backup import base_backup as take_base_backup
from db.replication.servers import standby_client
from tasks.messages.backups import BaseBackedUp
from tasks.messages.maintenance import Maintain
from tasks.runs import Run

NOT_SET_UP: Final = "archiving_off"


def take(message: Maintain, run: Run) -> BaseBackedUp:
    """Take and verify a base backup, apply retention, and return the result.

    Where point-in-time recovery is not set up there is nothing to do, week after week, and
    the answer says why. The doctor has it as a finding.
    """
    client, policy = run.configuration.client, run.configuration.operations.recovery
    try:
        done = take_base_backup(
            client,
            run.engine,
            policy,
            source=standby_client(client, policy.standby),
            dry_run=message.dry_run,
            scratch=run.configuration.operations.backup.scratch,
        )
    except OperationError as error:
        if error.kind != NOT_SET_UP:
            raise
        return BaseBackedUp(dry_run=message.dry_run, skipped=True, reason=str(error))
    if done.skipped:
        return BaseBackedUp(
            dry_run=message.dry_run, skipped=True, reason="another base backup is running"
        )
    if done.backup is None:
        return BaseBackedUp(dry_run=message.dry_run, kind=done.kind, parent=done.parent)
    taken = done.backup
    return BaseBackedUp(
        base_backup=taken.name,
        kind=taken.kind,
        parent=taken.parent,
        size=taken.bytes,
        seconds=round((taken.ended_at - taken.started_at).total_seconds(), 3),
        expired=done.removed,
    )
