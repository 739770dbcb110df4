"""The versions of templates: immutable, except whether and when they are current."""

from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, CreatedAt, GeneratedId, Time


class TemplateVersion(Base):
    """A version: the sources of its texts, and the variables they use.

    A null ``text`` is derived from the body; ``inlined_body`` is the body that is rendered where
    ``inline_css`` had its styles inlined, or which was compiled from another ``format``. A draft
    was never current. ``activate_at`` is when it will be, if the current version is
    ``activate_expected`` then: null for any, empty for none; ``schedule_error`` is the code of the
    error that prevented it.
    """

    __tablename__ = "template_versions"
    __table_args__ = (
        UniqueConstraint("template_id", "version"),
        Index("idx_template_versions_template_id", "template_id"),
        Index("idx_template_versions_is_current", "is_current"),
        Index("idx_template_versions_template_current", "template_id", "is_current"),
        Index(
            "uq_template_versions_one_current",
            "template_id",
            unique=True,
            postgresql_where=sql("is_current"),
        ),
        # For prune_versions, which finds the newest versions of each template.
        Index("idx_template_versions_template_created", "template_id", "created_at"),
        # For activate_scheduled, once a minute; few versions have a time.
        Index(
            "idx_template_versions_activate_at",
            "activate_at",
            postgresql_where=sql("activate_at IS NOT NULL"),
        ),
    )

    id: Mapped[GeneratedId]
    template_id: Mapped[UUID] = mapped_column(ForeignKey("templates.id", ondelete="CASCADE"))
    version: Mapped[str] = mapped_column(String(50))
    subject: Mapped[str | None] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    text: Mapped[str | None] = mapped_column(Text)
    preheader: Mapped[str | None] = mapped_column(Text)
    inline_css: Mapped[bool] = mapped_column(Boolean, server_default=false())
    inlined_body: Mapped[str | None] = mapped_column(Text)
    format: Mapped[str | None] = mapped_column(String(20))
    variables: Mapped[list[dict[str, Any]]] = mapped_column(
        JSONB, server_default=sql("'[]'::jsonb")
    )
    is_current: Mapped[bool] = mapped_column(Boolean, server_default=false())
    is_draft: Mapped[bool] = mapped_column(Boolean, server_default=false())
    activated_at: Mapped[Time | None]
    activate_at: Mapped[Time | None]
    activate_expected: Mapped[str | None] = mapped_column(String(50))
    schedule_error: Mapped[str | None] = mapped_column(String(100))
    # "metadata" is taken by SQLAlchemy's declarative base.
    info: Mapped[dict[str, Any]] = mapped_column(
        "metadata", JSONB, server_default=sql("'{}'::jsonb")
    )
    created_at: Mapped[CreatedAt]
