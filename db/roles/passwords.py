"""Passwords of roles: files that only their owner may read, and verifiers for the server.

A password is never part of a statement: the server gets the SCRAM verifier, which does not allow a
login (https://www.postgresql.org/docs/current/auth-password.html).
"""

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from db.cluster.processes import write_private
from db.disk import sync
from db.errors import OperationError

_BYTES = 24  # 192 bits


@dataclass(frozen=True, slots=True)
class Secret:
    """A new password of a role, and its file, which is written if ``new``."""

    role: str
    file: Path
    password: str
    new: bool

    def verifier(self, connection: psycopg.Connection) -> str:
        """Return the verifier that the server stores."""
        return scram_verifier(connection, self.role, self.password)


def scram_verifier(connection: psycopg.Connection, role: str, password: str) -> str:
    """Return a SCRAM verifier, computed on the client.

    https://www.postgresql.org/docs/current/libpq-misc.html#LIBPQ-PQENCRYPTPASSWORDCONN
    """
    encoded = password.encode(), role.encode()
    return connection.pgconn.encrypt_password(*encoded, b"scram-sha-256").decode()


def choose(
    role: str, *, has: bool, given: Path | None, output: Path | None, rotate: bool
) -> Secret | None:
    """Return the new password of a role, or ``None`` if its password is unchanged.

    Raises OperationError: ``password_file`` cannot be used, or ``no_output``: there is nowhere to
    write a new one.

    Parameters
    ----------
    role
        Its name, also of its file in ``output``.
    has
        Whether it has a password.
    given
        A file with the password to set, which overrides the other parameters.
    output
        Directory of password files. An existing file is used, so that a new server gets the
        passwords that the workers know.
    rotate
        Generate a new password even if there is one.
    """
    if given is not None:
        return Secret(role, given, read(given), new=False)
    if has and not rotate:
        return None
    if output is None:
        raise OperationError(
            "no_output",
            f"{role} needs a password, and no directory for its file was given",
            "name a directory for password files with --output",
        )
    file = output / role
    if file.exists() and not rotate:
        return Secret(role, file, read(file), new=False)
    return Secret(role, file, secrets.token_urlsafe(_BYTES), new=True)


def read(file: Path) -> str:
    """Return the password in a file, without a final line break.

    Raises OperationError: ``password_file``: it cannot be read, or is not one line of text.
    """
    try:
        password = file.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise OperationError(
            "password_file",
            f"the password file {file} cannot be read: {reason}",
            "check its path and permissions; it must hold the password as one line of UTF-8",
        ) from None
    if not password or not password.isprintable():
        raise OperationError(
            "password_file",
            f"the password file {file} is not one line of printable characters",
            "write only the password into it",
        )
    return password


@contextmanager
def kept(chosen: Iterable[Secret]) -> Iterator[None]:
    """Write new passwords to disk before the block sets them; delete the files if it fails.

    An existing file is replaced only when the block succeeds. After a crash the password is in the
    file or in its ``.new`` next to it.

    Raises OperationError: ``password_file``: one cannot be written.
    """
    written: list[tuple[Path, Path]] = []
    try:
        for secret in chosen:
            if secret.new:
                replaces = secret.file.exists()
                draft = secret.file.with_name(f"{secret.file.name}.new")
                path = draft if replaces else secret.file
                _write(path, secret.password)
                written.append((path, secret.file))
        yield
    except BaseException:
        for draft, _ in written:
            draft.unlink(missing_ok=True)
        raise
    for draft, file in written:
        draft.replace(file)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, text + "\n")
        sync(path)
    except OSError as error:
        raise OperationError(
            "password_file",
            f"the password file {path} cannot be written: {error.strerror}",
            "choose another directory with --output",
        ) from None
