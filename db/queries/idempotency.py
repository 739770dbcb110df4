"""Queries of the idempotency records. They take a session and never commit."""

from typing import Any, NamedTuple

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db.models import Base, IdempotencyRecord

_TABLE = Base.metadata.tables[IdempotencyRecord.__tablename__]
_records = _TABLE.c
_CLAIM = (
    insert(_TABLE).on_conflict_do_nothing(index_elements=[_records.key]).returning(_records.key)
)
_STORED = select(_records.task, _records.content_sha256, _records.result).where(
    _records.key == bindparam("key")
)
_COMPLETE = update(_TABLE).where(_records.key == bindparam("claimed"))


class Stored(NamedTuple):
    """The record of a completed write."""

    task: str
    content_sha256: bytes
    result: dict[str, Any]


def claim(session: Session, key: str, task: str, content_sha256: bytes) -> Stored | None:
    """Claim ``key`` for this transaction's write; return the record if an earlier write has it.

    The unique index makes this transaction wait for another one with the same key. With a SELECT
    before the INSERT both could succeed.
    """
    record = {"key": key, "task": task, "content_sha256": content_sha256}
    if session.scalar(_CLAIM, record) is not None:
        return None
    return Stored(*session.execute(_STORED, {"key": key}).one())


def complete(session: Session, key: str, result: dict[str, Any]) -> None:
    """Store the answer of the write that claimed ``key``."""
    session.execute(_COMPLETE, {"claimed": key, "result": result})
