"""What a drill looks at, one thing after another."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from db import migrations
from db.backup.catalogue import Catalogue, Entry
from db.backup.compare import require_structure, rows_of, structure
from db.backup.databases import administering, connected, create, drop
from db.backup.facts import revision
from db.backup.fetch import fetch
from db.backup.load import jobs_for, load
from db.backup.policy import BackupPolicy
from db.backup.restore_roles import make_roles
from db.cluster.private import PrivateCluster
from db.cluster.processes import Rights
from db.cluster.programs import Programs
from db.commands.core import Client
from db.commands.restore import FAST
from db.errors import OperationError

Render = Callable[[psycopg.Connection], list[str]]
"""Renders templates of a database at the newest migration, and names those it rendered."""
Clusters = Callable[[Programs, Path], AbstractContextManager[PrivateCluster]]
"""Gives a running server; the folder is for its data."""

_AVAILABLE: Final = "SELECT FROM pg_available_extensions WHERE name = 'amcheck'"


def prove(  # noqa: PLR0913, PLR0917 - the body of a drill
    programs: Programs,
    policy: BackupPolicy,
    catalogue: Catalogue,
    entry: Entry,
    folder: Path,
    rights: Rights,
    render: Render,
    clusters: Clusters,
) -> dict[str, Any]:
    """Restore a backup and look at everything; return what :class:`db.backup.drill.Drilled` tells.

    Parameters
    ----------
    programs, policy, render, clusters
        As of :func:`db.backup.drill.drill`.
    catalogue, entry
        The backup.
    folder, rights
        Of :func:`db.backup.drill_cluster.drill_folder`.

    Raises
    ------
    OperationError
        What is wrong with it.
    """
    if entry.roles is None:
        raise OperationError(
            "missing_file",
            f"{entry.name} has no file of roles, to whom its tables belong",
            "take another backup",
        )
    # What a checksum tells, it tells before a server is started.
    reading = Client(programs, "", rights)
    dump = fetch(reading, catalogue.store, entry, entry.dump, policy, folder)
    roles = fetch(reading, catalogue.store, entry, entry.roles, policy, folder)
    with (
        clusters(programs, folder) as cluster,
        _database(cluster, "restored") as database,
        _database(cluster, "expected") as expected,
    ):
        client = Client(programs, cluster.url(database), cluster.rights, FAST)
        made = make_roles(client, roles)
        jobs = jobs_for(dump)
        load(client, entry, dump, jobs=jobs)
        rows = rows_of(client.url, entry, jobs=jobs)
        _require_revision(client, entry)
        _migrate(cluster.url(expected), entry, str(entry.revision))
        objects = require_structure(entry, structure(client.url), structure(cluster.url(expected)))
        is_amchecked = _amcheck(client, jobs)
        _migrate(client.url, entry, "head")
        with connected(client.url) as connection:
            rendered = render(connection)
    return {
        "rows": rows,
        "roles": len(made),
        "objects": objects,
        "is_amchecked": is_amchecked,
        "rendered": rendered,
    }


@contextmanager
def _database(cluster: PrivateCluster, word: str) -> Iterator[str]:
    name = f"{word}_{uuid4().hex}"
    with administering(cluster.url()) as admin:
        create(admin, name, None)
    try:
        yield name
    finally:
        with administering(cluster.url()) as admin:
            drop(admin, name)


def _require_revision(client: Client, entry: Entry) -> None:
    with connected(client.url) as connection:
        found = revision(connection)
    if found is None or found != entry.revision:
        raise OperationError(
            "revision_differs",
            f"{entry.name} is at migration {found} and not at {entry.revision}",
            "restore from another backup, and take a new one",
        )


def _migrate(url: str, entry: Entry, to: str) -> None:
    try:
        migrations.upgrade(url, to)
    except SQLAlchemyError as error:
        original = getattr(error, "orig", None)
        told = (
            f"SQLSTATE {original.sqlstate}" if isinstance(original, psycopg.Error) else "it fails"
        )
        raise OperationError(
            "migration_failed",
            f"the migration of {entry.name} from {entry.revision} to {to} does not run: {told}",
            "try 'alembic upgrade head' on a restored copy: template-service backup restore",
        ) from error


def _amcheck(client: Client, jobs: int) -> bool:
    with connected(client.url) as connection:
        if connection.execute(_AVAILABLE).fetchone() is None:
            return False
    options = ["--install-missing", "--heapallindexed", "--schema=public", f"--jobs={jobs}"]
    client.run("pg_amcheck", options)
    return True
