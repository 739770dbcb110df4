"""Queries of the inbox. They take a session and never commit."""

from typing import Any, NamedTuple

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db.models import IdempotencyRecord


class Stored(NamedTuple):
    """A write that was done before."""

    task: str
    content_sha256: bytes
    result: dict[str, Any]


def claim(session: Session, key: str, task: str, content_sha256: bytes) -> Stored | None:
    """Claim ``key`` for the write of this transaction; return what an earlier one stored.

    Another transaction with the same key makes this one wait until it has ended: the unique index
    sees to it, where looking first and inserting then would let both through.
    """
    statement = (
        insert(IdempotencyRecord)
        .values(key=key, task=task, content_sha256=content_sha256)
        .on_conflict_do_nothing(index_elements=[IdempotencyRecord.key])
        .returning(IdempotencyRecord.key)
    )
    if session.scalar(statement) is not None:
        return None
    row = session.execute(
        select(
            IdempotencyRecord.task, IdempotencyRecord.content_sha256, IdempotencyRecord.result
        ).where(IdempotencyRecord.key == key)
    ).one()
    return Stored(*row)


def complete(session: Session, key: str, result: dict[str, Any]) -> None:
    """Store the answer of the write that claimed ``key``."""
    session.execute(
        update(IdempotencyRecord).where(IdempotencyRecord.key == key).values(result=result)
    )
