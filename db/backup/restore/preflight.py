"""Check rights and space before a restore over live data begins."""

import shutil
import tempfile
from pathlib import Path
from typing import Final

from psycopg import sql

from db.backup.catalogue import Catalogue, Entry
from db.backup.databases import administering, at, connected, named
from db.backup.policy import BackupPolicy
from db.backup.snapshot import SCHEMA
from db.commands.core import Client
from db.errors import Kind, OperationError
from db.units import size

_RIGHTS: Final = """
SELECT r.rolsuper AS superuser, r.rolsuper OR r.rolcreatedb AS creates,
       pg_has_role(d.datdba, 'USAGE') AS owns
FROM pg_roles AS r, pg_database AS d
WHERE r.rolname = current_user AND d.datname = %s
"""
_TABLE_RIGHTS: Final = """
SELECT has_table_privilege(%(table)s, 'SELECT') AND has_table_privilege(%(table)s, 'INSERT')
    AND has_table_privilege(%(table)s, 'UPDATE')
    AND has_database_privilege(current_database(), 'TEMPORARY')
"""


def check_replacement(
    client: Client, policy: BackupPolicy, catalogue: Catalogue, entry: Entry
) -> None:
    """Check whether the role may replace the live database, and whether there is space.

    Raises OperationError: ``permission_denied``, ``disk_full``.
    """
    _check_creation(client, is_owner=True)
    check_space(policy, catalogue, entry)


def check_merge(
    client: Client, policy: BackupPolicy, catalogue: Catalogue, entry: Entry, table: str
) -> None:
    """Check whether the role may write to a live table, and whether there is space.

    Raises OperationError: ``permission_denied``, ``disk_full``.
    """
    _check_creation(client, is_owner=False)
    name = sql.Identifier(SCHEMA, table).as_string()
    with connected(at(client.url, named(client.url))) as connection:
        ((may_write,),) = connection.execute(_TABLE_RIGHTS, {"table": name})
    if not may_write:
        raise OperationError(
            Kind.PERMISSION_DENIED,
            f"the role may not write to table {table}",
            "set TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL to the owner of the tables",
        )
    check_space(policy, catalogue, entry)


def check_space(policy: BackupPolicy, catalogue: Catalogue, entry: Entry) -> None:
    """Check the space for the fetched dump and for the safety backup (raises ``disk_full``)."""
    scratch = Path(policy.scratch or tempfile.gettempdir())
    if scratch.is_dir():
        needed, free = entry.uncompressed or entry.dump.size, shutil.disk_usage(scratch).free
        _require(str(scratch), free, needed, "TEMPLATE_SERVICE_SCRATCH_DIRECTORY")
    room = catalogue.store.free()
    if room is not None:
        last = next((one for one in catalogue.own() if one.contents == "full"), entry)
        _require(catalogue.store.target, room, last.size, "TEMPLATE_SERVICE_BACKUP_TARGET")


def _check_creation(client: Client, *, is_owner: bool) -> None:
    live = named(client.url)
    with administering(client.url) as admin:
        row = admin.execute(_RIGHTS, [live]).fetchone()
    if row is not None and not row["creates"]:
        raise OperationError(
            Kind.PERMISSION_DENIED,
            "the role may not create databases",
            "ALTER ROLE ... CREATEDB, or name another in TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL",
        )
    if row is not None and is_owner and not row["owns"]:
        raise OperationError(
            Kind.PERMISSION_DENIED,
            f"the role may not rename database {live}",
            "set TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL to the owner, with CREATEDB",
        )


def _require(place: str, free: int, needed: int, setting: str) -> None:
    if free < needed:
        raise OperationError(
            Kind.DISK_FULL,
            f"{place} has {size(free)} free, and {size(needed)} are needed",
            f"free some space, or set {setting} to another directory; nothing was changed",
        )
