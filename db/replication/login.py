"""Log in to the primary as a standby will, before anything large is copied."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import psycopg
from psycopg.conninfo import make_conninfo

from db.addresses import connection_options
from db.cluster.children import Rights
from db.cluster.processes import write_private
from db.cluster.unprivileged import give
from db.errors import Kind, OperationError
from db.postgres_errors import RETRY, find_cause
from db.replication.primary import Login, Primary
from db.replication.servers import CONNECT_TIMEOUT

# The parts of the database's URL that apply to the role of a standby too, and libpq's variables for
# them (https://www.postgresql.org/docs/current/libpq-envars.html).
_TLS: Final = {
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcrl": "PGSSLCRL",
    "channel_binding": "PGCHANNELBINDING",
    "gssencmode": "PGGSSENCMODE",
}
# libpq's default, which is in another home directory for the user of the standby.
_ROOT: Final = Path(".postgresql/root.crt")
_SYSTEM: Final = "system"
CERTIFICATES: Final = ("sslrootcert", "sslcrl")
"""Options that name files, which the user of the standby must be able to read."""


def connection_of(url: str, primary: Primary, user: str) -> dict[str, str]:
    """Return libpq's options of the standby's connection, without its password."""
    options = connection_options(url)
    tls = {
        name: value
        for name, variable in _TLS.items()
        if (value := options.get(name) or os.environ.get(variable))
    }
    root = Path.home() / _ROOT
    if tls.get("sslmode", "").startswith("verify-") and root.exists():
        tls.setdefault("sslrootcert", str(root))
    return {
        "host": primary.address.host,
        "port": str(primary.address.port),
        "user": user,
        "connect_timeout": str(CONNECT_TIMEOUT),
        **tls,
    }


def copied_certificates(
    connection: dict[str, str], into: Path, rights: Rights, undo: ExitStack
) -> dict[str, str]:
    """Copy the files that check the primary's certificate for the user of the standby.

    That user may not read root's files, nor find a relative path. Returns the changed options.

    Raises OperationError: ``certificate_unreadable``.
    """
    changed = {}
    for name in CERTIFICATES:
        given = connection.get(name)
        if given is None or given == _SYSTEM:
            continue
        copy = into.with_name(f"{into.name}.{name}")
        try:
            content = Path(given).read_text()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise OperationError(
                "certificate_unreadable",
                f"the file {given} of {name} cannot be read: {reason}",
                f"name it in DATABASE_URL: ?sslmode=verify-full&{name}=FILE",
            ) from None
        write_private(copy, content)
        undo.callback(copy.unlink)
        give(copy, rights)
        changed[name] = str(copy)
    return changed


def try_login(connection: dict[str, str], login: Login, primary: Primary) -> None:
    """Connect for replication once, as the standby will.

    Raises OperationError: ``replication_refused``, ``password_refused`` or another kind of
    :data:`db.postgres_errors.CAUSES`.
    """
    options = connection | {"password": login.password, "replication": "true"}
    try:
        psycopg.connect(make_conninfo(**options)).close()
    except psycopg.OperationalError as error:
        raise _login_error(str(error), login, primary) from None


def _login_error(text: str, login: Login, primary: Primary) -> OperationError:
    reported = text.strip().splitlines()[0]
    cause = find_cause(text)
    kind, remedy = (Kind.REPLICATION_REFUSED, RETRY) if cause is None else cause[1:]
    if "pg_hba.conf" in text:
        return OperationError(
            Kind.REPLICATION_REFUSED,
            f"the primary refuses replication connections from this machine: {reported}",
            "add this line to its pg_hba.conf, and run SELECT pg_reload_conf() there: "
            f"{_hba_line(login.user, primary.client)}",
        )
    if kind == Kind.PASSWORD_REFUSED:
        return OperationError(
            kind,
            f"the primary refuses the password of role {login.user!r}",
            "pass the other standbys' password with --password-file, or choose another "
            "role with --user",
        )
    return OperationError(kind, f"role {login.user!r} cannot replicate: {reported}", remedy)


def _hba_line(user: str, client: str) -> str:
    if not client:
        return f"local replication {user} scram-sha-256"
    return f"host replication {user} {client}/{128 if ':' in client else 32} scram-sha-256"
