"""Delete expired backups and files of interrupted ones."""

from dataclasses import dataclass, field
from datetime import datetime

from db.backup.catalogue import Catalogue, Entry, open_catalogue
from db.backup.policy import BackupPolicy
from db.backup.retention import Dump, reasons
from db.backup.source import Source
from db.backup.verify import verify
from db.cluster.programs import Programs
from db.errors import OperationError


@dataclass(slots=True)
class Pruned:
    """Deleted files, or with ``dry_run`` the files to delete.

    Attributes
    ----------
    deleted
        Names of backups, the newest first.
    size
        Their size in bytes.
    kept
        The reason to keep each remaining backup, by name.
    leftovers
        Files that do not belong to a backup.
    """

    deleted: list[str] = field(default_factory=list)
    size: int = 0
    kept: dict[str, str] = field(default_factory=dict)
    leftovers: list[str] = field(default_factory=list)


def prune(  # noqa: PLR0913 - options by name
    policy: BackupPolicy,
    programs: Programs,
    *,
    source: Source,
    now: datetime,
    dry_run: bool = False,
    unlisted: bool = False,
) -> Pruned:
    """Apply retention; see :func:`db.backup.retention.reasons` for its rules.

    The newest full backup is verified first: unless it is sound, nothing is deleted.

    Raises OperationError: the newest full backup is damaged or failed its last drill, or an entry
    cannot be read. Nothing was deleted.

    Parameters
    ----------
    source
        The database whose backups expire; backups of other databases stay.
    unlisted
        Delete all files without an entry too, but no files of other sources.
    """
    catalogue = open_catalogue(policy, source)
    entries = catalogue.own()
    try:
        for problem in catalogue.unreadable():
            raise problem
        _verify_newest(catalogue, policy, programs)
    except OperationError as error:
        raise OperationError(
            error.kind, f"no backup was deleted: {error.message}", error.remedy
        ) from error
    incomplete = {entry.name for entry in catalogue.missing()}
    dumps = [_dump(entry, complete=entry.name not in incomplete) for entry in entries]
    kept = reasons(dumps, now, policy.keep_days, policy.keep_verified, policy.keep_safety_days)
    going = [entry for entry in entries if entry.name not in kept]
    leftovers = catalogue.strays() if unlisted else catalogue.own_leftovers(now)
    if not dry_run:
        for entry in going:
            catalogue.remove(entry)
        for name in leftovers:
            catalogue.store.delete(name)
    return Pruned(
        deleted=[entry.name for entry in going],
        size=sum(entry.size for entry in going),
        kept=kept,
        leftovers=leftovers,
    )


def _verify_newest(catalogue: Catalogue, policy: BackupPolicy, programs: Programs) -> None:
    newest = next((entry for entry in catalogue.regular() if entry.contents == "full"), None)
    if newest is None:
        return
    if newest.problem is not None:
        raise OperationError(
            "newest_failed",
            f"the newest backup {newest.name} failed its restore drill: {newest.problem}",
            "create a new one: template-service backup create",
        )
    verify(catalogue.store, newest, policy, programs)


def _dump(entry: Entry, *, complete: bool) -> Dump:
    return Dump(
        name=entry.name,
        taken_at=entry.started_at,
        verified=entry.verified_at is not None and entry.problem is None and complete,
        # Only the newest one matters, which was verified before.
        sound=complete and entry.problem is None,
        whole=entry.contents == "full",
        safety=entry.purpose == "safety",
    )
