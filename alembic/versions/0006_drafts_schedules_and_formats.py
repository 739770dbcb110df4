"""Drafts, times of activation and source formats of versions.

Revision ID: 0006
Revises: 0005
Create Date: 2026-11-27 08:10:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TABLE = "template_versions"
_TIMES = ("activated_at", "activate_at")


def upgrade() -> None:
    """Add the columns; no earlier version is a draft, for nobody knows which were current."""
    op.add_column(_TABLE, sa.Column("format", sa.String(20)))
    op.add_column(
        _TABLE, sa.Column("is_draft", sa.Boolean, nullable=False, server_default=sa.false())
    )
    for column in _TIMES:
        op.add_column(_TABLE, sa.Column(column, sa.DateTime(timezone=True)))
    op.add_column(_TABLE, sa.Column("activate_expected", sa.String(50)))
    op.add_column(_TABLE, sa.Column("schedule_error", sa.String(100)))
    # Empty as yet, so that its creation only reads the table once.
    op.create_index(
        "idx_template_versions_activate_at",
        _TABLE,
        ["activate_at"],
        postgresql_where=sa.text("activate_at IS NOT NULL"),
    )


def downgrade() -> None:
    """Drop the columns: scheduled activations are lost, compiled MJML stays what is rendered."""
    op.drop_index("idx_template_versions_activate_at", _TABLE)
    for column in ("schedule_error", "activate_expected", *_TIMES, "is_draft", "format"):
        op.drop_column(_TABLE, column)
