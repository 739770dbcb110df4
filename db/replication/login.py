"""How a standby logs in to its primary, tried before anything large is begun."""

from typing import Final

import psycopg
from psycopg.conninfo import make_conninfo

from db.commands.core import CAUSES
from db.errors import OperationError
from db.replication.primary import Login, Primary
from db.replication.servers import CONNECT_TIMEOUT
from db.session import connection_options

# What of the database's address holds for the role of a standby too.
_TLS: Final = ("sslmode", "sslrootcert", "sslcrl", "channel_binding", "gssencmode")


def connection_of(url: str, primary: Primary, user: str) -> dict[str, str]:
    """Return libpq's options of the standby's connection; its password is not among them."""
    options = connection_options(url)
    return {
        "host": primary.address.host,
        "port": str(primary.address.port),
        "user": user,
        "connect_timeout": str(CONNECT_TIMEOUT),
        **{name: options[name] for name in _TLS if name in options},
    }


def try_login(connection: dict[str, str], login: Login, primary: Primary) -> None:
    """Connect for replication once, as the standby will.

    Raises
    ------
    OperationError
        ``not_let_in``, ``password_refused`` or what else is in the way.
    """
    options = connection | {"password": login.password, "replication": "true"}
    try:
        psycopg.connect(make_conninfo(**options)).close()
    except psycopg.OperationalError as error:
        raise _refused(str(error), login, primary) from None


def _refused(text: str, login: Login, primary: Primary) -> OperationError:
    told = text.strip().splitlines()[0]
    if "pg_hba.conf" in text:
        return OperationError(
            "not_let_in",
            f"the primary lets no standby in from here: {told}",
            "add this line to its pg_hba.conf, and run SELECT pg_reload_conf() there: "
            f"{_hba_line(login.user, primary.client)}",
        )
    if "password authentication failed" in text:
        return OperationError(
            "password_refused",
            f"the primary refuses the password of role {login.user!r}",
            "give the one that the other standbys use with --password-file, or choose another "
            "role with --user",
        )
    for words, kind, remedy in CAUSES:
        if words in text:
            return OperationError(kind, f"role {login.user!r} cannot replicate: {told}", remedy)
    return OperationError(
        "replication_refused", f"role {login.user!r} cannot replicate: {told}", "mend what it names"
    )


def _hba_line(user: str, client: str) -> str:
    if not client:
        return f"local replication {user} scram-sha-256"
    return f"host replication {user} {client}/{128 if ':' in client else 32} scram-sha-256"
