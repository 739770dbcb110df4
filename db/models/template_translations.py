"""The translations of versions."""

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
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, CreatedAt, GeneratedId, UpdatedAt


class TemplateTranslation(Base):
    """One language of a version; the version's subject is used where it is null.

    A null text is derived from the body.
    """

    __tablename__ = "template_translations"
    __table_args__ = (
        UniqueConstraint("template_version_id", "language_code"),
        Index("idx_template_translations_version_id", "template_version_id"),
        Index("idx_template_translations_language", "language_code"),
    )

    id: Mapped[GeneratedId]
    template_version_id: Mapped[UUID] = mapped_column(
        ForeignKey("template_versions.id", ondelete="CASCADE")
    )
    language_code: Mapped[str] = mapped_column(String(10))
    subject: Mapped[str | None] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    text: Mapped[str | None] = mapped_column(Text)
    preheader: Mapped[str | None] = mapped_column(Text)
    inlined_body: Mapped[str | None] = mapped_column(Text)
    is_stale: Mapped[bool] = mapped_column(Boolean, server_default=false())
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]
