"""The source of a backup: one database of one server."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, Final, Self

import psycopg
from psycopg.rows import tuple_row

from db.backup.databases import administering, named

_UNSAFE: Final = re.compile(r"[^0-9A-Za-z_-]")
# DATABASE_DATE_TIME_SYSTEM_RANDOM, then what it contains or the suffix of a file.
_NAME: Final = re.compile(
    r"(?P<database>.+)_\d{8}_\d{6}_(?P<system>\d{1,20})_[0-9a-f]{8}(?:[._].*)?", re.ASCII
)
_OLD_NAME: Final = re.compile(r"(?P<database>.+)_\d{8}_\d{6}(?:[._].*)?", re.ASCII)
# Some providers revoke it; a failed statement would end the snapshot.
_MAY_READ: Final = "SELECT has_function_privilege('pg_control_system()', 'EXECUTE')"
_SYSTEM: Final = "SELECT system_identifier::text FROM pg_control_system()"
_UNKNOWN: Final = "0"


@dataclass(frozen=True, slots=True)
class Source:
    """A database and its server.

    Attributes
    ----------
    system
        The server's system identifier, which ``initdb`` chose; ``None`` if it cannot be read.
    """

    system: str | None
    database: str

    @classmethod
    def of(cls, connection: psycopg.Connection[Any], database: str | None = None) -> Self:
        """Return the connection's database, or another one of its server."""
        with connection.cursor(row_factory=tuple_row) as cursor:
            ((may_read,),) = cursor.execute(_MAY_READ)
            ((system,),) = cursor.execute(_SYSTEM) if may_read else ((None,),)
        return cls(system, database or connection.info.dbname)

    @classmethod
    def read(cls, url: str) -> Self:
        """Return the source that a URL names, whether the database exists or not.

        Raises OperationError: see :func:`db.backup.databases.administering`.
        """
        with administering(url) as admin:
            return cls.of(admin, named(url))

    def new_name(self, at: datetime, *contents: str) -> str:
        """Return a name that no other backup has, of this source or any other."""
        time = f"{at.astimezone(UTC):%Y%m%d_%H%M%S}"
        parts = (time, self.system or _UNKNOWN, token_hex(4), *contents)
        return "_".join([_safe(self.database), *(_UNSAFE.sub("_", part) for part in parts)])

    def includes(self, database: str, system: str | None) -> bool:
        """Return whether a backup of that database is of this source.

        Earlier versions did not record the server; their backups count by the database's name.
        """
        unknown = {None, self.system} if self.system is not None else {system}
        return database == self.database and system in unknown

    def owns_name(self, name: str) -> bool:
        """Return whether a file is of this source, from its name."""
        match = _NAME.fullmatch(name) or _OLD_NAME.fullmatch(name)
        return match is not None and self._matches(match)

    def is_foreign_name(self, name: str) -> bool:
        """Return whether a file is of another source, from its name."""
        match = _NAME.fullmatch(name)
        return match is not None and not self._matches(match)

    def _matches(self, match: re.Match[str]) -> bool:
        system = match.groupdict().get("system")
        known = None if system == _UNKNOWN else system
        is_named = match["database"] == _safe(self.database)
        return is_named and self.includes(self.database, known)


def _safe(database: str) -> str:
    """Return a database's name for file names; it never looks like an option."""
    return re.sub("^-", "_", _UNSAFE.sub("_", database))
