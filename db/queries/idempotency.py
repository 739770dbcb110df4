"""Queries of the idempotency records. They take a session and never commit."""

from typing import Any, NamedTuple

from psycopg.types.json import Json
from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db.models import Base, IdempotencyRecord
from db.queries.direct import Direct

_TABLE = Base.metadata.tables[IdempotencyRecord.__tablename__]
_records = _TABLE.c
_CLAIM = Direct(
    insert(_TABLE)
    .values({each: bindparam(each) for each in ("key", "task", "content_sha256")})
    .on_conflict_do_nothing(index_elements=[_records.key])
    .returning(_records.key)
)
_STORED = Direct(
    select(_records.task, _records.content_sha256, _records.result).where(
        _records.key == bindparam("key")
    )
)
_COMPLETE = Direct(
    update(_TABLE).where(_records.key == bindparam("claimed")).values(result=bindparam("result"))
)


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
    claimed = _CLAIM.execute(session, key=key, task=task, content_sha256=content_sha256)
    if claimed.fetchone() is not None:
        return None
    row = _STORED.execute(session, key=key).fetchone()
    assert row is not None  # noqa: S101 - for the type checker: records outlive their retries
    return Stored(*row)


def complete(session: Session, key: str, result: dict[str, Any]) -> None:
    """Store the answer of the write that claimed ``key``."""
    _COMPLETE.execute(session, claimed=key, result=Json(result))
