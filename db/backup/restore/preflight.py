"""Check rights and space before a restore over live data begins."""

import shutil
import tempfile
from pathlib import Path
from typing import Final

from psycopg import sql

from db.backup.catalogue import Catalogue, Entry
from db.backup.databases import (
    administering,
    at,
    connected,
    may_not_create,
    may_not_rename,
    named,
)
from db.backup.policy import BackupPolicy
from db.backup.snapshot import SCHEMA
from db.backup.source import Source
from db.commands.core import Client
from db.commands.physical import control_data
from db.errors import Kind, OperationError
from db.printed import identifier, literal, psql
from db.units import size

_RIGHTS: Final = """
SELECT r.rolsuper AS superuser, r.rolsuper OR r.rolcreatedb AS creates,
       pg_has_role(d.datdba, 'USAGE') AS owns
FROM pg_roles AS r, pg_database AS d
WHERE r.rolname = current_user AND d.datname = %s
"""
# Each of them refers to the database by its number, and would stay with the previous one.
_BOUND: Final = """
SELECT 'prepared transaction' AS kind, gid AS name FROM pg_prepared_xacts WHERE database = %(name)s
UNION ALL
SELECT 'logical slot', slot_name FROM pg_replication_slots WHERE database = %(name)s
UNION ALL
SELECT 'subscription', s.subname
FROM pg_subscription AS s JOIN pg_database AS d ON d.oid = s.subdbid
WHERE d.datname = %(name)s AND s.subenabled
ORDER BY 1, 2
"""
_RELEASED_BY: Final = {
    "prepared transaction": "COMMIT PREPARED {0} or ROLLBACK PREPARED {0}",
    "logical slot": "SELECT pg_drop_replication_slot({0}), and restart its consumer",
    "subscription": "ALTER SUBSCRIPTION {1} DISABLE",
}
# Not readable without the right to see the paths of the server.
_DATA_DIRECTORY: Final = """
SELECT s.setting AS data, pg_tablespace_location(d.dattablespace) AS tablespace,
       pg_database_size(d.oid) AS bytes
FROM pg_database AS d
LEFT JOIN pg_settings AS s ON s.name = 'data_directory'
WHERE d.datname = current_database()
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
    check_renaming(client, named(client.url))
    check_server_space(client, entry)
    check_space(policy, catalogue, entry)


def check_renaming(client: Client, database: str) -> None:
    """Check that nothing but sessions is bound to a database that gets another name.

    A prepared transaction prevents that. A logical slot and a subscription would go on in the
    database that is put aside.

    Raises OperationError: ``database_in_use``, naming all of them.
    """
    with administering(client.url) as admin:
        bound = admin.execute(_BOUND, {"name": database}).fetchall()
    if bound:
        names = ", ".join(f"{row['kind']} {row['name']}" for row in bound)
        remedies = [
            _RELEASED_BY[row["kind"]].format(literal(row["name"]), identifier(row["name"]))
            for row in bound
        ]
        raise OperationError(
            Kind.DATABASE_IN_USE,
            f"database {database} cannot be replaced: it has {names}",
            f"run in it: {psql(database)}: {'; '.join(remedies)}",
        )


def check_server_space(client: Client, entry: Entry) -> None:
    """Check the space for another database, where the server's disk is one of this machine.

    Raises OperationError: ``disk_full``.
    """
    if entry.database_bytes is None or entry.contents not in {"full", "data"}:
        return
    with administering(client.url) as admin:
        row = admin.execute(_DATA_DIRECTORY).fetchone()
        source, host = Source.of(admin), admin.info.host
    if row is None or row["data"] is None or not _is_here(client, Path(row["data"]), host, source):
        return
    place = Path(row["tablespace"] or row["data"])
    _require(
        f"the disk of the server ({place})",
        shutil.disk_usage(place).free,
        entry.database_bytes,
    )


def _is_here(client: Client, data: Path, host: str, source: Source) -> bool:
    """Return whether a path of a server is one of this machine."""
    try:
        if host.startswith("/"):  # a Unix socket
            return data.is_dir()
        known = control_data(client.programs, data).get("Database system identifier")
    except (OperationError, OSError):
        return False
    return known is not None and known == source.system


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
        raise may_not_create()
    if row is not None and is_owner and not row["owns"]:
        raise may_not_rename(live)


def _require(place: str, free: int, needed: int, setting: str | None = None) -> None:
    if free < needed:
        other = "" if setting is None else f", or set {setting} to another directory"
        raise OperationError(
            Kind.DISK_FULL,
            f"{place} has {size(free)} free, and {size(needed)} are needed",
            f"free some space{other}; nothing was changed",
        )
