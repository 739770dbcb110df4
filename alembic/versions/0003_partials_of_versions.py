"""Partials that each version uses.

Revision ID: 0003
Revises: 0002
Create Date: 2026-11-22 17:30:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; no version that was published before this one uses a partial."""
    op.create_table(
        "template_partials",
        sa.Column("template_version_id", sa.UUID, nullable=False),
        sa.Column("partial_id", sa.UUID, nullable=False),
        sa.PrimaryKeyConstraint("template_version_id", "partial_id", name="pk_template_partials"),
        sa.ForeignKeyConstraint(
            ["template_version_id"],
            ["template_versions.id"],
            name="fk_template_partials_template_version_id_template_versions",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["partial_id"],
            ["templates.id"],
            name="fk_template_partials_partial_id_templates",
            ondelete="CASCADE",
        ),
    )
    op.create_index("idx_template_partials_partial_id", "template_partials", ["partial_id"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("template_partials")
