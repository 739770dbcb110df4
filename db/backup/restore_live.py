"""A backup in the place of the live database, which stays beside it under another name."""

from dataclasses import dataclass, replace

from db import migrations
from db.backup.catalogue import Catalogue, Entry
from db.backup.create import create
from db.backup.databases import administering, at, beside, connected, exists, named
from db.backup.exchange import dress, swap
from db.backup.facts import revision
from db.backup.policy import BackupPolicy
from db.backup.restore import Restored, draft, require_new_enough, suitable
from db.backup.store import open_store
from db.commands.core import Client
from db.errors import OperationError


@dataclass(frozen=True, slots=True)
class Replaced:
    """What a restore over the live database did.

    Attributes
    ----------
    restored
        What is live now.
    safety
        The backup that was made of what was live before.
    aside
        The database that this is in still.
    """

    restored: Restored
    safety: str
    aside: str


def restore_live(
    client: Client,
    policy: BackupPolicy,
    *,
    name: str | None = None,
    jobs: int | None = None,
    with_roles: bool = False,
) -> Replaced:
    """Put a full backup in the place of the live database.

    First the live database is dumped. The backup is restored and compared beside it, and takes over
    owner, grants and settings. Then both are renamed in one transaction, and sessions of before
    are ended: what they had committed after the dump is in the database that was put aside.

    Parameters
    ----------
    client
        Programs and the live database.
    policy
        Where the backups are.
    name, jobs, with_roles
        As of :func:`db.backup.restore.restore`.

    Raises
    ------
    OperationError
        What went wrong; the live database is as it was.
    """
    catalogue = Catalogue(open_store(policy.target, policy.scratch))
    entry = suitable(catalogue, name, None)
    if entry.contents != "full":
        raise OperationError(
            "not_full",
            f"{entry.name} has only a part of the database, its {entry.contents}",
            "choose a full backup; of one table, name it with --table",
        )
    require_new_enough(client.programs, entry)
    require_revision(client, entry, same=False)
    safety = create(client, policy)
    live = named(client.url)
    with draft(
        client, policy, catalogue, entry, table=None, jobs=jobs, with_roles=with_roles
    ) as made:
        # Without statistics its first queries would read whole tables.
        there = replace(client, url=at(client.url, made.database))
        there.run("vacuumdb", ["--analyze-only", "--quiet"])
        with administering(client.url) as admin:
            dress(admin, made.database, live)
            aside = beside(admin, live, "before")
        swap(client.url, live, made.database, aside)
    return Replaced(replace(made, database=live), safety.name, aside)


def require_revision(client: Client, entry: Entry, *, same: bool) -> None:
    """See to it that the backup's migration fits what is live.

    Parameters
    ----------
    client, entry
        The live database, and the backup.
    same
        Whether it has to be the same one: rows are put among others.

    Raises
    ------
    OperationError
        ``newer_schema``: the live database is at a newer migration, and so are its workers;
        ``schema_differs``; ``database_missing``.
    """
    live = named(client.url)
    with administering(client.url) as admin:
        if not exists(admin, live):
            raise OperationError(
                "database_missing",
                f"there is no database {live} to restore over",
                f"restore into it: template-service backup restore --into {live}",
            )
    with connected(at(client.url, live)) as connection:
        found = revision(connection)
    if found is None and not same:
        return
    told = f"the live database is at migration {found}, {entry.name} at {entry.revision}"
    if found is not None and _is_newer(found, entry.revision):
        raise OperationError(
            "newer_schema",
            told,
            "restore it into another database, run 'alembic upgrade head' there and let "
            "DATABASE_URL name it",
        )
    if same and found != entry.revision:
        raise OperationError(
            "schema_differs", told, "bring both to one migration with 'alembic upgrade'"
        )


def _is_newer(found: str, other: str | None) -> bool:
    if other is None or not migrations.is_known(found):
        return True
    return migrations.is_before(other, found)
