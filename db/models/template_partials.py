"""The partials that a version uses."""

from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base


class TemplatePartial(Base):
    """A partial that the sources of a version, in any of its languages, include or extend."""

    __tablename__ = "template_partials"
    # The primary key finds the partials of a version; this index the versions that use a partial.
    __table_args__ = (Index("idx_template_partials_partial_id", "partial_id"),)

    template_version_id: Mapped[UUID] = mapped_column(
        ForeignKey("template_versions.id", ondelete="CASCADE"), primary_key=True
    )
    partial_id: Mapped[UUID] = mapped_column(
        ForeignKey("templates.id", ondelete="CASCADE"), primary_key=True
    )
