"""Idempotency records: completed writes and their answers."""

from typing import Any

from sqlalchemy import Index, LargeBinary, String
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, CreatedAt


class IdempotencyRecord(Base):
    """A completed write, kept longer than any redelivery of its message.

    It is inserted in the transaction of the write, so that either both exist or neither.
    """

    __tablename__ = "idempotency_records"
    __table_args__ = (Index("idx_idempotency_records_created_at", "created_at"),)

    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    task: Mapped[str] = mapped_column(String(100))
    content_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    # json, not jsonb: a repeated answer has its members in the same order.
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    created_at: Mapped[CreatedAt]
