"""The recovery target and its settings.

https://www.postgresql.org/docs/current/runtime-config-wal.html#RUNTIME-CONFIG-WAL-RECOVERY-TARGET
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from db.recovery.pages import lsn_text

_SETTINGS: Final = (
    "recovery_target",
    "recovery_target_lsn",
    "recovery_target_name",
    "recovery_target_time",
    "recovery_target_xid",
)
_XID_BITS: Final = 32


@dataclass(frozen=True, slots=True)
class Target:
    """A time, a restore point, the moment before a transaction, an LSN, or none: the latest.

    Attributes
    ----------
    time
        With a time zone; commits at this very microsecond are included.
    restore_point
        A name of ``pg_create_restore_point``.
    before_transaction
        ID of a transaction to stop before; all that ended before it are included, whatever
        their IDs.
    lsn
        An LSN to stop at: records that begin before it are included.
    """

    time: datetime | None = None
    restore_point: str | None = None
    before_transaction: int | None = None
    lsn: int | None = None

    def settings(self) -> dict[str, str]:
        """Return the settings of the server that recovers.

        The other targets are emptied: the backup's own configuration may have one, and PostgreSQL
        refuses two.
        """
        target: dict[str, str] = {}
        if self.time is not None:
            target["recovery_target_time"] = self.time.astimezone(UTC).isoformat(sep=" ")
        elif self.restore_point is not None:
            target["recovery_target_name"] = self.restore_point
        elif self.before_transaction is not None:
            target["recovery_target_xid"] = str(self.short_transaction)
        elif self.lsn is not None:
            target["recovery_target_lsn"] = lsn_text(self.lsn)
        is_exclusive = self.before_transaction is not None or self.lsn is not None
        return {
            **{name: "" for name in _SETTINGS if name not in target},
            **target,
            "recovery_target_inclusive": "off" if is_exclusive else "on",
            "recovery_target_action": "promote",
        }

    @property
    def short_transaction(self) -> int:
        """The transaction ID as in WAL, without its epoch."""
        return (self.before_transaction or 0) % (1 << _XID_BITS)

    def __str__(self) -> str:
        """Return the target in words."""
        if self.time is not None:
            return f"the time {self.time.astimezone(UTC).isoformat()}"
        if self.restore_point is not None:
            return f"restore point {self.restore_point}"
        if self.before_transaction is not None:
            return f"the moment before transaction {self.before_transaction}"
        if self.lsn is not None:
            return f"LSN {lsn_text(self.lsn)}"
        return "the latest"
