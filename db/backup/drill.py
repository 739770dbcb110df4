"""The restore drill: a backup is worth what a restore of it has proved."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Final

import psycopg

from db.backup.catalogue import Catalogue, Entry
from db.backup.drill_cluster import drill_folder, new_cluster
from db.backup.drill_proof import Clusters, Render, prove
from db.backup.policy import BackupPolicy
from db.backup.restore import require_new_enough, suitable
from db.backup.store import open_store
from db.cluster.programs import Programs
from db.errors import OperationError

# That the drill could not be held says nothing of the backup.
_NOT_ITS_FAULT: Final = frozenset(
    {
        "disk_full",
        "extra_missing",
        "initdb_failed",
        "newer_schema",
        "not_full",
        "not_reachable",
        "programs_missing",
        "server_failed",
        "target_unreadable",
        "target_unwritable",
    }
)


@dataclass(frozen=True, slots=True)
class Drilled:
    """What a drill proved of a backup.

    Attributes
    ----------
    name
        Of the backup.
    verified_at
        What the catalogue says from now on.
    size
        Bytes of its files.
    rows
        Of each table, contents and numbers as they were when it was dumped.
    roles
        How many it brought.
    objects
        Columns, indexes, constraints and others, as their migration makes them.
    is_amchecked
        Whether PostgreSQL's amcheck looked at tables and indexes; not every server has it.
    revision
        The migration it was at; newer ones ran on it without error.
    rendered
        Templates that were rendered from it, as ``template_id version``; none if it has none.
    seconds
        Wall-clock time.
    """

    name: str
    verified_at: datetime
    size: int
    rows: dict[str, int]
    roles: int
    objects: int
    is_amchecked: bool
    revision: str | None
    rendered: list[str]
    seconds: float


def drill(
    programs: Programs,
    policy: BackupPolicy,
    *,
    render: Render,
    name: str | None = None,
    clusters: Clusters = new_cluster,
) -> Drilled:
    """Restore a backup into a server of its own, look at everything, and note what was found.

    The server is new, private, run by an unprivileged user, and gone in the end, as are all files.

    Parameters
    ----------
    programs
        Of PostgreSQL, the server too, not older than what made the backup.
    policy
        Where the backup is, the identity that decrypts it, and the folder for files under way.
    render
        The main job, done with what was restored.
    name
        Of a full backup; ``None`` for the newest.
    clusters
        What starts the server.

    Raises
    ------
    OperationError
        What is wrong with the backup, which the catalogue then says too; or why no drill could be
        held.
    """
    started = monotonic()
    catalogue = Catalogue(open_store(policy.target, policy.scratch))
    entry = to_drill(catalogue, name)
    require_new_enough(programs, entry)
    try:
        with _explained(entry), drill_folder(policy) as (folder, rights):
            proved = prove(programs, policy, catalogue, entry, folder, rights, render, clusters)
    except OperationError as error:
        if error.kind not in _NOT_ITS_FAULT:
            _note(catalogue, entry, verified_at=None, problem=f"{error.kind}: {error.message}")
        raise
    now = datetime.now(UTC)
    _note(catalogue, entry, verified_at=now, problem=None)
    return Drilled(
        name=entry.name,
        verified_at=now,
        size=entry.size,
        revision=entry.revision,
        seconds=round(monotonic() - started, 3),
        **proved,
    )


def to_drill(catalogue: Catalogue, name: str | None) -> Entry:
    """Return the backup that :func:`drill` restores.

    Raises
    ------
    OperationError
        ``backup_not_found``; ``not_full``; ``newer_schema``; ``entry_unreadable``: it may be the
        newest backup of which nothing is known.
    """
    if name is None:
        for problem in catalogue.unreadable():
            raise problem
    entry = suitable(catalogue, name, None)
    if entry.contents != "full":
        raise OperationError(
            "not_full",
            f"{entry.name} has only a part of the database, its {entry.contents}",
            "name a full backup, or none for the newest",
        )
    return entry


def _note(catalogue: Catalogue, entry: Entry, **changes: object) -> None:
    """Write what the drill found, unless the backup was deleted meanwhile."""
    try:
        current = catalogue.get(entry.name)
    except OperationError as error:
        if error.kind != "backup_not_found":
            raise
        return
    catalogue.update(current.model_copy(update=changes))


@contextmanager
def _explained(entry: Entry) -> Iterator[None]:
    try:
        yield
    except psycopg.OperationalError as error:
        told = str(error).strip().splitlines()[0]
        raise OperationError(
            "server_failed", f"the private server of the drill failed: {told}", "start it again"
        ) from error
    except psycopg.Error as error:
        raise OperationError(
            "restore_failed",
            f"a statement on what {entry.name} brought back fails: SQLSTATE {error.sqlstate}",
            "restore from another backup, and take a new one",
        ) from error
