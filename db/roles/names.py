"""Names of the roles, and their attributes, settings and memberships."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from db.errors import OperationError

Kind = Literal["owner", "app", "maintenance", "readonly"]
KINDS: Final[tuple[Kind, ...]] = ("owner", "app", "maintenance", "readonly")
LOGINS: Final[tuple[Kind, ...]] = ("app", "maintenance", "readonly")
DEFAULT_PREFIX: Final = "template_service"
# PostgreSQL truncates names after 63 bytes, and reserves those that begin with pg_.
_PREFIX: Final = re.compile(r"\A(?!pg_)[a-z_][a-z0-9_]{0,49}\Z")

ATTRIBUTES: Final[dict[Kind, str]] = {
    "owner": "NOLOGIN NOREPLICATION",
    "app": "LOGIN NOREPLICATION",
    # pg_basebackup connects for replication: https://www.postgresql.org/docs/current/app-pgbasebackup.html
    "maintenance": "LOGIN REPLICATION",
    "readonly": "LOGIN NOREPLICATION",
}
SETTINGS: Final[dict[Kind, dict[str, str]]] = {
    "owner": {},
    # Workers set shorter timeouts themselves; these apply to other programs.
    "app": {
        "search_path": "public",
        "statement_timeout": "60s",
        "idle_in_transaction_session_timeout": "60s",
    },
    # Overrides settings of the database: a dump is long, and an idle transaction holds the lock
    # against a second run.
    "maintenance": {
        "search_path": "public",
        "statement_timeout": "0",
        "idle_in_transaction_session_timeout": "0",
    },
    "readonly": {
        "search_path": "public",
        "default_transaction_read_only": "on",
        "statement_timeout": "5min",
        "idle_in_transaction_session_timeout": "5min",
    },
}
# https://www.postgresql.org/docs/current/predefined-roles.html: pg_dump reads everything, the
# report reads other sessions, db kill-idle terminates some, a base backup starts with a checkpoint.
PREDEFINED: Final = ("pg_read_all_data", "pg_monitor", "pg_signal_backend", "pg_checkpoint")
# Superusers only by default: the test of the archive uses the first two, and the doctor reads
# pg_hba.conf for weak logins.
GRANTS: Final = (
    "EXECUTE ON FUNCTION pg_switch_wal(), pg_create_restore_point(text), pg_hba_file_rules()",
    "SELECT ON pg_hba_file_rules",
)


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one set of roles; roles belong to the whole server, not to a database.

    Raises OperationError: ``bad_prefix``.
    """

    prefix: str = DEFAULT_PREFIX

    def __post_init__(self) -> None:
        """Refuse names that need quotes."""
        if not _PREFIX.match(self.prefix):
            raise OperationError(
                "bad_prefix",
                f"invalid prefix of role names: {self.prefix!r}",
                "use at most 50 lower-case letters, digits and underscores, not beginning with "
                "a digit or pg_",
            )

    def of(self, kind: Kind) -> str:
        """Return the name of one role."""
        return f"{self.prefix}_{kind}"

    def all(self) -> dict[str, Kind]:
        """Return the kind of each name."""
        return {self.of(kind): kind for kind in KINDS}


def mark(kind: Kind) -> str:
    """Return the comment that marks a role as created by this service."""
    return f"template-service: {kind}"
