"""Replace the live database by a backup; the old one is kept under another name."""

import shlex
from dataclasses import dataclass, replace
from typing import Final

import psycopg
from psycopg import sql

from db import migrations
from db.backup.catalogue import Entry
from db.backup.create import create
from db.backup.databases import (
    administering,
    at,
    connected,
    copy_properties,
    exists,
    named,
    swap,
    unused_name,
)
from db.backup.policy import BackupPolicy
from db.backup.restore.preflight import check_renaming, check_replacement
from db.backup.restore.restore import (
    Restored,
    choose_backup,
    hooked,
    own_catalogue,
    require_full,
    require_new_enough,
    restored_draft,
)
from db.backup.scratch import release
from db.backup.snapshot import revision
from db.commands.core import Client
from db.errors import Kind, OperationError

# All tables but those with rows on other servers, which may be away.
_LOCAL: Final = """
WITH RECURSIVE remote AS (
    SELECT oid FROM pg_class WHERE relkind = 'f'
    UNION SELECT i.inhparent FROM pg_inherits AS i JOIN remote ON i.inhrelid = remote.oid
)
SELECT n.nspname, c.relname
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't'
    AND c.oid NOT IN (SELECT oid FROM remote)
"""


@dataclass(frozen=True, slots=True)
class Replaced:
    """Result of :func:`replace_live`.

    Attributes
    ----------
    restored
        The new live database.
    safety
        Name of the backup of the previous live database.
    aside
        Name of the previous live database.
    """

    restored: Restored
    safety: str
    aside: str


def replace_live(  # noqa: PLR0913 - options by name
    client: Client,
    policy: BackupPolicy,
    *,
    name: str | None = None,
    jobs: int | None = None,
    with_roles: bool = False,
    foreign: bool = False,
) -> Replaced:
    """Replace the live database by a full backup.

    Rights and space are checked first. The backup is restored and compared next to the live
    database, with the same owner, grants and settings. Then the live database is dumped, both are
    renamed in one transaction, and the sessions are terminated: their commits after the dump are in
    the previous database.

    See :func:`db.backup.restore.restore.restore` for the parameters.

    The live database is unchanged after an OperationError.
    """
    catalogue = own_catalogue(client, policy)
    entry = choose_backup(catalogue, name, None, foreign=foreign)
    require_full(entry)
    require_new_enough(client.programs, entry)
    require_revision(client, entry, same=False)
    check_replacement(client, policy, catalogue, entry)
    live = named(client.url)
    with (
        hooked(policy, entry, live),
        restored_draft(
            client, policy, entry, table=None, jobs=jobs, with_roles=with_roles
        ) as draft,
    ):
        # vacuumdb would take a name with = for a connection string.
        with connected(at(client.url, draft.database)) as restored:
            _analyze(restored)
        safety = create(client, policy, purpose="safety")
        # Again: hours may have passed.
        check_renaming(client, live)
        with administering(client.url) as admin:
            release(admin, draft.database)
            copy_properties(admin, draft.database, live)
            aside = unused_name(admin, live, "before")
        swap(client.url, live, draft.database, aside)
    return Replaced(replace(draft, database=live), safety.name, aside)


def _analyze(connection: psycopg.Connection) -> None:
    """Collect statistics, without which the first queries would use sequential scans."""
    tables = [sql.Identifier(*row) for row in connection.execute(_LOCAL)]
    connection.execute(sql.SQL("ANALYZE {}").format(sql.SQL(", ").join(tables)))


def require_revision(client: Client, entry: Entry, *, same: bool) -> None:
    """Check that the backup's migration matches the live database.

    Raises OperationError: ``newer_schema``: the live database is at a newer migration, and so are
    its workers; ``schema_differs``; ``database_missing``.

    Parameters
    ----------
    same
        Whether it must be the same one, to merge rows; else it may be newer.
    """
    live = named(client.url)
    with administering(client.url) as admin:
        if not exists(admin, live):
            raise OperationError(
                "database_missing",
                f"database {live} does not exist",
                f"restore into it: template-service backup restore --into {shlex.quote(live)}",
            )
    with connected(at(client.url, live)) as connection:
        found = revision(connection)
    if found is None and not same:
        return
    mismatch = f"the live database is at migration {found}, {entry.name} at {entry.revision}"
    if found is not None and _is_newer(found, entry.revision):
        raise OperationError(
            Kind.NEWER_SCHEMA,
            mismatch,
            "restore it into another database, run 'alembic upgrade head' there, and set "
            "DATABASE_URL to it",
        )
    if same and found != entry.revision:
        raise OperationError(
            Kind.SCHEMA_DIFFERS, mismatch, "upgrade both to one migration with 'alembic upgrade'"
        )


def _is_newer(found: str, other: str | None) -> bool:
    if other is None or not migrations.is_known(found):
        return True
    return migrations.is_before(other, found)
