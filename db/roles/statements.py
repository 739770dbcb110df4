"""The statements that create the roles and set all their privileges, from any earlier state.

They can be repeated: other privileges are revoked first, in the same transaction.
"""

from collections.abc import Iterator, Mapping

from psycopg import sql

from db.roles.names import (
    ATTRIBUTES,
    GRANTS,
    LOGINS,
    PREDEFINED,
    SETTINGS,
    Kind,
    Names,
    mark,
)
from db.roles.state import ServerState

# The first versions of PostgreSQL with WITH INHERIT/SET of memberships, and MAINTAIN on tables.
INHERIT_SINCE = 16
MAINTAIN_SINCE = 17
TABLE_RIGHTS: dict[Kind, str] = {
    "app": "SELECT, INSERT, UPDATE, DELETE",
    "readonly": "SELECT",
}
# A worker reads it when it starts; only a migration writes it.
MIGRATIONS = "alembic_version"


def statements(
    names: Names, server: ServerState, verifiers: Mapping[str, str], *, close_others: bool
) -> Iterator[sql.Composed]:
    """Yield the statements in order.

    Parameters
    ----------
    verifiers
        SCRAM verifiers of the roles that get a new password.
    close_others
        Also revoke CONNECT on the server's other databases from PUBLIC.
    """
    yield from _roles(names, server)
    yield from _memberships(names, server)
    yield from _everyone(server, close_others=close_others)
    yield from _ownership(names, server)
    yield from _existing(names, server)
    yield from _future(names, server)
    for right in GRANTS:
        yield _sql(f"GRANT {right} TO {{}}", names.of("maintenance"))
    if close_others:
        # pg_dumpall and the monitoring connect to them.
        for database in server.open_databases:
            yield _sql("GRANT CONNECT ON DATABASE {} TO {}", database, names.of("maintenance"))
    for role, verifier in verifiers.items():
        yield _sql("ALTER ROLE {} PASSWORD ", role) + sql.Literal(verifier)


def _roles(names: Names, server: ServerState) -> Iterator[sql.Composed]:
    for name, kind in names.all().items():
        if name not in server.roles:
            yield _sql("CREATE ROLE {}", name)
        yield (
            _sql("ALTER ROLE {} NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS ", name)
            + sql.SQL(ATTRIBUTES[kind])
        )
        yield _sql("COMMENT ON ROLE {} IS ", name) + sql.Literal(mark(kind))
        yield _sql("ALTER ROLE {} RESET ALL", name)
        settings = dict(SETTINGS[kind])
        if kind == "maintenance" and server.version >= MAINTAIN_SINCE:
            settings["transaction_timeout"] = "0"
        for setting, value in settings.items():
            yield _sql("ALTER ROLE {} SET {} = ", name, setting) + sql.Literal(value)


def _memberships(names: Names, server: ServerState) -> Iterator[sql.Composed]:
    """Make maintenance, and the roles that run migrations, members of the owner.

    MAINTAIN would suffice for VACUUM and REINDEX since PostgreSQL 17, but only the owner may drop
    the invalid index that a failed REINDEX CONCURRENTLY leaves:
    https://www.postgresql.org/docs/current/sql-dropindex.html.
    """
    owner, maintenance = names.of("owner"), names.of("maintenance")
    wanted = {(role, maintenance) for role in (owner, *PREDEFINED)}
    for granted, member, grantor in server.memberships:
        if (granted, member) not in wanted:
            by = _sql(" GRANTED BY {}", grantor) if server.version >= INHERIT_SINCE else _sql("")
            yield _sql("REVOKE {} FROM {}", granted, member) + by
    # SET FALSE: it has the owner's privileges, but cannot create objects as the owner.
    inherits = " WITH INHERIT TRUE, SET FALSE" if server.version >= INHERIT_SINCE else ""
    yield _sql("GRANT {} TO {}", owner, maintenance) + sql.SQL(inherits)
    for role in PREDEFINED:
        yield _sql("GRANT {} TO {}", role, maintenance)
    for maker, superuser in server.makers.items():
        if not superuser:
            yield _sql("GRANT {} TO {}", owner, maker)


def _everyone(server: ServerState, *, close_others: bool) -> Iterator[sql.Composed]:
    others = server.open_databases if close_others else ()
    for database in (server.database, *others):
        yield _sql("REVOKE ALL ON DATABASE {} FROM PUBLIC", database)
    yield _sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")


def _ownership(names: Names, server: ServerState) -> Iterator[sql.Composed]:
    owner = names.of("owner")
    # Foreign keys are checked as the owner of the tables.
    yield _sql("GRANT USAGE, CREATE ON SCHEMA public TO {}", owner)
    yield _sql("GRANT CONNECT ON DATABASE {} TO {}", server.database, owner)
    for relation, current in server.relations.items():
        if current != owner:
            yield _sql("ALTER TABLE public.{} OWNER TO {}", relation, owner)


def _existing(names: Names, server: ServerState) -> Iterator[sql.Composed]:
    for kind in LOGINS:
        name = names.of(kind)
        yield _sql("REVOKE ALL ON DATABASE {} FROM {}", server.database, name)
        yield _sql("GRANT CONNECT ON DATABASE {} TO {}", server.database, name)
        yield _sql("REVOKE ALL ON SCHEMA public FROM {}", name)
        yield _sql("GRANT USAGE ON SCHEMA public TO {}", name)
        for what in ("TABLES", "SEQUENCES"):
            yield _sql(f"REVOKE ALL ON ALL {what} IN SCHEMA public FROM {{}}", name)
    tables = sql.SQL(", ").join(sql.Identifier("public", table) for table in server.relations)
    for kind, rights in TABLE_RIGHTS.items():
        to = sql.SQL(f" TO {names.of(kind)}")
        yield sql.SQL(f"GRANT {rights} ON ") + tables + to
    app = names.of("app")
    yield _sql("GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {}", app)
    if MIGRATIONS in server.relations:
        yield _sql("REVOKE INSERT, UPDATE, DELETE ON public.{} FROM {}", MIGRATIONS, app)


def _future(names: Names, server: ServerState) -> Iterator[sql.Composed]:
    """Grant the same privileges on tables of later migrations, until the next run.

    https://www.postgresql.org/docs/current/sql-alterdefaultprivileges.html: they depend on the role
    that creates a table, not on the owner of its schema.
    """
    rights = dict(TABLE_RIGHTS)
    maintain = ", MAINTAIN" if server.version >= MAINTAIN_SINCE else ""
    rights["maintenance"] = f"SELECT, INSERT, UPDATE, DELETE{maintain}"
    for maker in (names.of("owner"), *server.makers):
        for kind, granted in rights.items():
            yield _default(f"{granted} ON TABLES", maker, names.of(kind))
        yield _default("USAGE, SELECT ON SEQUENCES", maker, names.of("app"))


def _default(rights: str, maker: str, role: str) -> sql.Composed:
    return _sql(
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {{}} IN SCHEMA public GRANT {rights} TO {{}}",
        maker,
        role,
    )


def _sql(text: str, *identifiers: str) -> sql.Composed:
    """Return ``text``, of constants, with each ``{}`` replaced by a quoted name."""
    return sql.SQL(text).format(*map(sql.Identifier, identifiers))
