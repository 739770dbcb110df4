"""Delete the backups that have expired, and what interrupted ones left."""

from dataclasses import dataclass, field
from datetime import datetime

from db.backup.catalogue import LEFTOVER_AGE, Catalogue, Entry
from db.backup.check import check
from db.backup.policy import BackupPolicy
from db.backup.retention import Dump, expired, reasons
from db.backup.store import open_store
from db.cluster.programs import Programs
from db.errors import OperationError


@dataclass(slots=True)
class Pruned:
    """What was deleted, or with ``dry_run`` would be.

    Attributes
    ----------
    deleted
        Names of backups, the newest first.
    size
        Bytes of those.
    kept
        Why each of the others stays, by name.
    leftovers
        Files that were no backup.
    """

    deleted: list[str] = field(default_factory=list)
    size: int = 0
    kept: dict[str, str] = field(default_factory=dict)
    leftovers: list[str] = field(default_factory=list)


def prune(
    policy: BackupPolicy,
    programs: Programs,
    *,
    now: datetime,
    dry_run: bool = False,
    unlisted: bool = False,
) -> Pruned:
    """Apply retention; see :func:`db.backup.retention.expired` for its rules.

    The newest full backup is read first, all of it: while it is not sound, nothing is deleted.

    Parameters
    ----------
    unlisted
        Delete files without an entry too, whatever they are.

    Raises
    ------
    OperationError
        The newest full backup is damaged or failed its last drill, or an entry cannot be read; the
        kind says which. Nothing was deleted.
    """
    store = open_store(policy.target, policy.scratch)
    catalogue = Catalogue(store)
    entries = catalogue.entries()
    try:
        for problem in catalogue.unreadable():
            raise problem
        _prove_newest(catalogue, entries, policy, programs)
    except OperationError as error:
        raise OperationError(
            error.kind, f"no backup was deleted, since {error.message}", error.remedy
        ) from error
    incomplete = {entry.name for entry in catalogue.missing()}
    dumps = [_seen(entry, complete=entry.name not in incomplete) for entry in entries]
    going = {dump.name for dump in expired(dumps, now, policy.keep_days, policy.keep_verified)}
    leftovers = catalogue.strays() if unlisted else store.leftovers(now - LEFTOVER_AGE)
    if not dry_run:
        for entry in entries:
            if entry.name in going:
                catalogue.remove(entry)
        for name in leftovers:
            store.delete(name)
    return Pruned(
        deleted=[entry.name for entry in entries if entry.name in going],
        size=sum(entry.size for entry in entries if entry.name in going),
        kept=reasons(dumps, now, policy.keep_days, policy.keep_verified),
        leftovers=leftovers,
    )


def _prove_newest(
    catalogue: Catalogue, entries: list[Entry], policy: BackupPolicy, programs: Programs
) -> None:
    newest = next((entry for entry in entries if entry.contents == "full"), None)
    if newest is None:
        return
    if newest.problem is not None:
        raise OperationError(
            "newest_failed",
            f"the newest backup {newest.name} failed its restore drill: {newest.problem}",
            "make another with template-service backup create",
        )
    check(catalogue.store, newest, policy, programs)


def _seen(entry: Entry, *, complete: bool) -> Dump:
    return Dump(
        name=entry.name,
        taken_at=entry.started_at,
        verified=entry.verified_at is not None and entry.problem is None and complete,
        # The newest was proved before, and of the others it does not matter.
        sound=complete and entry.problem is None,
        whole=entry.contents == "full",
    )
