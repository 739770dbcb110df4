"""The statements that bring a server to the state that the roles need, whatever it was before.

Each may run again: what was granted beside it is taken away first, in the same transaction.
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
from db.roles.server import Server

# From these on, PostgreSQL knows WITH INHERIT/SET of a membership, and MAINTAIN on a table.
INHERIT_SINCE = 16
MAINTAIN_SINCE = 17
TABLE_RIGHTS: dict[Kind, str] = {
    "app": "SELECT, INSERT, UPDATE, DELETE",
    "readonly": "SELECT",
}
# A worker reads it when it starts; only a migration writes it.
MIGRATIONS = "alembic_version"


def statements(
    names: Names, server: Server, verifiers: Mapping[str, str], *, close_others: bool
) -> Iterator[sql.Composed]:
    """Yield the statements in order.

    Parameters
    ----------
    names
        Of the roles.
    server
        What is there.
    verifiers
        A new SCRAM verifier for each role that gets a password.
    close_others
        Also keep roles without a grant out of the server's other databases.
    """
    yield from _roles(names, server)
    yield from _memberships(names, server)
    yield from _everyone(server, close_others=close_others)
    yield from _ownership(names, server)
    yield from _existing(names, server)
    yield from _future(names, server)
    for right in GRANTS:
        yield _say(f"GRANT {right} TO {{}}", names.of("maintenance"))
    if close_others:
        # pg_dumpall and the monitoring connect to them.
        for database in server.open_databases:
            yield _say("GRANT CONNECT ON DATABASE {} TO {}", database, names.of("maintenance"))
    for role, verifier in verifiers.items():
        yield _say("ALTER ROLE {} PASSWORD ", role) + sql.Literal(verifier)


def _roles(names: Names, server: Server) -> Iterator[sql.Composed]:
    for name, kind in names.all().items():
        if name not in server.roles:
            yield _say("CREATE ROLE {}", name)
        yield (
            _say("ALTER ROLE {} NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS ", name)
            + sql.SQL(ATTRIBUTES[kind])
        )
        yield _say("COMMENT ON ROLE {} IS ", name) + sql.Literal(mark(kind))
        yield _say("ALTER ROLE {} RESET ALL", name)
        settings = dict(SETTINGS[kind])
        if kind == "maintenance" and server.version >= MAINTAIN_SINCE:
            settings["transaction_timeout"] = "0"
        for setting, value in settings.items():
            yield _say("ALTER ROLE {} SET {} = ", name, setting) + sql.Literal(value)


def _memberships(names: Names, server: Server) -> Iterator[sql.Composed]:
    """Let maintenance act as the owner, and those who run migrations too.

    MAINTAIN alone would do for VACUUM and REINDEX since PostgreSQL 17, but only the owner may drop
    the invalid index that a failed REINDEX CONCURRENTLY leaves:
    https://www.postgresql.org/docs/current/sql-dropindex.html.
    """
    owner, maintenance = names.of("owner"), names.of("maintenance")
    wanted = {(role, maintenance) for role in (owner, *PREDEFINED)}
    for granted, member, grantor in server.memberships:
        if (granted, member) not in wanted:
            by = _say(" GRANTED BY {}", grantor) if server.version >= INHERIT_SINCE else _say("")
            yield _say("REVOKE {} FROM {}", granted, member) + by
    # SET FALSE: it has the owner's rights, and makes nothing that would be the owner's.
    inherits = " WITH INHERIT TRUE, SET FALSE" if server.version >= INHERIT_SINCE else ""
    yield _say("GRANT {} TO {}", owner, maintenance) + sql.SQL(inherits)
    for role in PREDEFINED:
        yield _say("GRANT {} TO {}", role, maintenance)
    for maker, superuser in server.makers.items():
        if not superuser:
            yield _say("GRANT {} TO {}", owner, maker)


def _everyone(server: Server, *, close_others: bool) -> Iterator[sql.Composed]:
    others = server.open_databases if close_others else ()
    for database in (server.database, *others):
        yield _say("REVOKE ALL ON DATABASE {} FROM PUBLIC", database)
    yield _say("REVOKE CREATE ON SCHEMA public FROM PUBLIC")


def _ownership(names: Names, server: Server) -> Iterator[sql.Composed]:
    owner = names.of("owner")
    # Foreign keys are checked as the owner of the tables.
    yield _say("GRANT USAGE, CREATE ON SCHEMA public TO {}", owner)
    yield _say("GRANT CONNECT ON DATABASE {} TO {}", server.database, owner)
    for relation, current in server.relations.items():
        if current != owner:
            yield _say("ALTER TABLE public.{} OWNER TO {}", relation, owner)


def _existing(names: Names, server: Server) -> Iterator[sql.Composed]:
    for kind in LOGINS:
        name = names.of(kind)
        yield _say("REVOKE ALL ON DATABASE {} FROM {}", server.database, name)
        yield _say("GRANT CONNECT ON DATABASE {} TO {}", server.database, name)
        yield _say("REVOKE ALL ON SCHEMA public FROM {}", name)
        yield _say("GRANT USAGE ON SCHEMA public TO {}", name)
        for what in ("TABLES", "SEQUENCES"):
            yield _say(f"REVOKE ALL ON ALL {what} IN SCHEMA public FROM {{}}", name)
    tables = sql.SQL(", ").join(sql.Identifier("public", table) for table in server.relations)
    for kind, rights in TABLE_RIGHTS.items():
        to = sql.SQL(f" TO {names.of(kind)}")
        yield sql.SQL(f"GRANT {rights} ON ") + tables + to
    app = names.of("app")
    yield _say("GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {}", app)
    if MIGRATIONS in server.relations:
        yield _say("REVOKE INSERT, UPDATE, DELETE ON public.{} FROM {}", MIGRATIONS, app)


def _future(names: Names, server: Server) -> Iterator[sql.Composed]:
    """Grant the same on tables that a migration makes, until this runs again and takes them over.

    https://www.postgresql.org/docs/current/sql-alterdefaultprivileges.html: they depend on who
    makes a table, not on whose schema it is in.
    """
    rights = dict(TABLE_RIGHTS)
    maintain = ", MAINTAIN" if server.version >= MAINTAIN_SINCE else ""
    rights["maintenance"] = f"SELECT, INSERT, UPDATE, DELETE{maintain}"
    for maker in (names.of("owner"), *server.makers):
        for kind, granted in rights.items():
            yield _default(f"{granted} ON TABLES", maker, names.of(kind))
        yield _default("USAGE, SELECT ON SEQUENCES", maker, names.of("app"))


def _default(rights: str, maker: str, role: str) -> sql.Composed:
    return _say(
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {{}} IN SCHEMA public GRANT {rights} TO {{}}",
        maker,
        role,
    )


def _say(text: str, *identifiers: str) -> sql.Composed:
    """Return ``text``, of constants, with each ``{}`` replaced by a quoted name."""
    return sql.SQL(text).format(*map(sql.Identifier, identifiers))
