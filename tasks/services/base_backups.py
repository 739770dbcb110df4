"""Take base backups as a task."""

from typing import Final

from db.errors import OperationError
from db.recovery.base_backup import base_backup as take_base_backup
from db.session import make_engine
from tasks.messages.backups import BaseBackedUp
from tasks.messages.maintenance import Maintain
from tasks.runtime import Configuration

NOT_SET_UP: Final = "archiving_off"


def take(message: Maintain, configuration: Configuration) -> BaseBackedUp:
    """Take and verify a base backup, apply retention, and return the result.

    Where nobody has set up recovery to a point in time there is nothing to do, week after week, and
    the answer says why. The doctor has it as a finding.
    """
    engine = make_engine(configuration.maintenance)
    try:
        done = take_base_backup(
            configuration.client,
            engine,
            configuration.operations.recovery,
            dry_run=message.dry_run,
        )
    except OperationError as error:
        if error.kind != NOT_SET_UP:
            raise
        return BaseBackedUp(dry_run=message.dry_run, skipped=True, reason=str(error))
    finally:
        engine.dispose()
    if done.skipped:
        return BaseBackedUp(dry_run=message.dry_run, skipped=True, reason="one is under way")
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
