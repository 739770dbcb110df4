"""The templates: one row for each template_id."""

from typing import Any

from sqlalchemy import Boolean, CheckConstraint, Index, String, Text, text, true
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, CreatedAt, GeneratedId, Time, UpdatedAt


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

    id: Mapped[GeneratedId]
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
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]
    deleted_at: Mapped[Time | None]
