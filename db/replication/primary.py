"""Requirements of a primary for another standby: settings, capacity and a role."""

import secrets
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from db.cluster.programs import Programs
from db.errors import Kind, OperationError
from db.replication.servers import Address, require_primary
from db.roles.passwords import scram_verifier

# pg_basebackup uses one for the files and one for the WAL.
SENDERS_OF_A_COPY: Final = 2
CARRIED: Final = ("max_replication_slots", "max_slot_wal_keep_size", "shared_preload_libraries")
"""Settings that a standby needs when it becomes the primary."""

_FACTS: Final = """
SELECT current_setting('server_version_num')::int AS version,
       current_setting('wal_level') AS wal_level,
       current_setting('max_wal_senders')::int AS max_wal_senders,
       current_setting('max_replication_slots')::int AS max_replication_slots,
       current_setting('max_slot_wal_keep_size') AS max_slot_wal_keep_size,
       current_setting('wal_keep_size') AS wal_keep_size,
       (SELECT count(*) FROM pg_stat_replication) AS senders,
       (SELECT count(*) FROM pg_replication_slots) AS slots,
       (SELECT sum(pg_database_size(oid))::bigint FROM pg_database WHERE datallowconn) AS bytes,
       (SELECT system_identifier::text FROM pg_control_system()) AS system,
       current_setting('archive_mode') <> 'off' AS archives,
       host(inet_client_addr()) AS client
"""
# A copy of the data directory includes the settings in its files, but no settings of the command
# line or of files elsewhere.
_CARRIED: Final = """
SELECT name, setting
FROM pg_settings
WHERE name = ANY(%s)
    AND source IN ('command line', 'configuration file', 'environment variable')
    AND NOT coalesce(starts_with(
        sourcefile, (SELECT setting || '/' FROM pg_settings WHERE name = 'data_directory')
    ), false)
ORDER BY name
"""
_ROLE: Final = "SELECT rolsuper, rolcanlogin AND rolreplication FROM pg_roles WHERE rolname = %s"
# The new standby may be the one that replaces a lost synchronous one, for which commits wait.
_NO_WAIT: Final = "SET synchronous_commit = local"


@dataclass(frozen=True, slots=True)
class Primary:
    """Facts about the primary that a standby needs.

    Attributes
    ----------
    address
        The connected server, one of the hosts in the database's URL.
    client
        This machine's address as the primary sees it; empty over a Unix socket.
    size
        Size of all databases in bytes.
    settings
        Settings that limit how long a standby may be disconnected, as PostgreSQL shows them.
    carried
        Settings that a copy of the data directory would lack.
    system
        The system identifier of its cluster.
    archives
        Whether it archives WAL.
    """

    address: Address
    client: str
    size: int
    settings: dict[str, Any]
    carried: dict[str, str]
    system: str
    archives: bool

    @property
    def warnings(self) -> list[str]:
        """Warnings for the operator."""
        if self.settings["max_slot_wal_keep_size"] != "-1":
            return []
        return [
            (
                "max_slot_wal_keep_size is unlimited: while the standby is disconnected, the "
                "primary retains all WAL for it, until its disk is full. Set a limit: "
                "ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; SELECT pg_reload_conf();"
            )
        ]


@dataclass(frozen=True, slots=True)
class Login:
    """Role and password of the standby, and whether the role was created now."""

    user: str
    password: str
    is_new: bool


def examine(connection: psycopg.Connection, programs: Programs) -> Primary:
    """Return facts about the primary, after checking that it has capacity for another standby.

    Raises OperationError: ``not_a_primary``, ``programs_do_not_fit``, ``wal_level`` or ``no_room``.
    """
    require_primary(connection)
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        facts = cursor.execute(_FACTS).fetchall()[0]
    _check(facts, programs)
    return Primary(
        address=Address(connection.info.host, connection.info.port),
        client=facts["client"] or "",
        size=facts["bytes"],
        settings={
            name: facts[name]
            for name in (
                "wal_level",
                "max_wal_senders",
                "max_replication_slots",
                "max_slot_wal_keep_size",
                "wal_keep_size",
            )
        },
        carried=dict(connection.execute(_CARRIED, [list(CARRIED)]).fetchall()),
        system=facts["system"],
        archives=facts["archives"],
    )


def ensure_login(connection: psycopg.Connection, user: str, password: str | None) -> Login:
    """Create the role of the standby, or set its password.

    The password is sent as a SCRAM verifier, so that no log of the server contains it. A role that
    other standbys use is unchanged.

    Raises OperationError: ``role_unfit`` or ``password_needed``.

    Parameters
    ----------
    password
        ``None`` generates one.
    """
    role = connection.execute(_ROLE, [user]).fetchone()
    if role is not None and role[0]:
        raise OperationError(
            "role_unfit",
            f"role {user!r} is a superuser, whose password must not be stored on a standby",
            "choose another role with --user",
        )
    others = connection.execute(
        "SELECT 1 FROM pg_replication_slots WHERE slot_type = 'physical'"
    ).fetchone()
    if role is not None and role[1] and others is not None:
        if password is None:
            raise OperationError(
                "password_needed",
                f"role {user!r} already exists, and other standbys may use its password",
                "pass that password with --password-file, or choose another role with --user",
            )
        return Login(user, password, is_new=False)
    password = password or secrets.token_urlsafe(32)
    verifier = scram_verifier(connection, user, password)
    verb = sql.SQL("CREATE" if role is None else "ALTER")
    connection.execute(_NO_WAIT)
    connection.execute(
        sql.SQL("{} ROLE {} LOGIN REPLICATION PASSWORD {}").format(
            verb, sql.Identifier(user), sql.Literal(verifier)
        )
    )
    return Login(user, password, is_new=role is None)


def drop_login(connection: psycopg.Connection, login: Login) -> None:
    """Drop the role if :func:`ensure_login` created it."""
    if login.is_new:
        connection.execute(_NO_WAIT)
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(login.user)))


def _check(facts: dict[str, Any], programs: Programs) -> None:
    server, ours = facts["version"] // 10_000, programs.major("postgres")
    if server != ours:
        raise OperationError(
            Kind.PROGRAMS_DO_NOT_FIT,
            f"the primary is PostgreSQL {server}, the programs here are from PostgreSQL {ours}",
            f"set TEMPLATE_SERVICE_POSTGRES_PROGRAMS to the programs of PostgreSQL {server}",
        )
    if facts["wal_level"] == "minimal":
        raise OperationError(
            "wal_level",
            "wal_level of the primary is minimal, which does not support standbys",
            "ALTER SYSTEM SET wal_level = 'replica', and restart the primary",
        )
    for setting, used, wanted in (
        ("max_wal_senders", facts["senders"], SENDERS_OF_A_COPY),
        ("max_replication_slots", facts["slots"], 1),
    ):
        if used + wanted > facts[setting]:
            raise OperationError(
                "no_room",
                f"the primary has no capacity for another standby: {used} of {setting} = "
                f"{facts[setting]} are in use, and {wanted} more are needed",
                f"ALTER SYSTEM SET {setting} = {used + wanted + 8}, and restart the primary",
            )
