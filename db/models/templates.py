"""The templates: one row for each template_id."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, CheckConstraint, DateTime, Index, String, Text, func, text, true
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PGUUID
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base


class Template(Base):
    """A template; its texts are in its versions."""

    __tablename__ = "templates"
    __table_args__ = (
        CheckConstraint(
            "type IN ('email', 'in_app', 'sms', 'push', 'partial', 'json')", name="type"
        ),
        # This index also makes template_id unique; a constraint would create a second one.
        Index("idx_templates_template_id", "template_id", unique=True),
        Index("idx_templates_type", "type"),
        Index("idx_templates_category", "category"),
        Index("idx_templates_is_active", "is_active"),
        Index("idx_templates_type_active", "type", "is_active"),
        # For the purge of templates that were soft-deleted long ago; a partial index is small.
        Index(
            "idx_templates_deleted_at",
            "deleted_at",
            postgresql_where=text("deleted_at IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(
        PGUUID(as_uuid=True), primary_key=True, server_default=func.gen_random_uuid()
    )
    template_id: Mapped[str] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(String(255))
    type: Mapped[str] = mapped_column(String(50))
    description: Mapped[str | None] = mapped_column(Text)
    category: Mapped[str | None] = mapped_column(String(100))
    is_active: Mapped[bool] = mapped_column(Boolean, server_default=true())
    # "metadata" is taken by SQLAlchemy's declarative base.
    info: Mapped[dict[str, Any]] = mapped_column(
        "metadata", JSONB, server_default=text("'{}'::jsonb")
    )
    created_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.clock_timestamp()
    )
    updated_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True),
        server_default=func.clock_timestamp(),
        onupdate=func.clock_timestamp(),
    )
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
