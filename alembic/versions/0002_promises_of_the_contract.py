"""One current version, unique version names, staleness, metadata of templates, the inbox.

Revision ID: 0002
Revises: 0001
Create Date: 2026-11-22 14:10:00+00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what the contract needs beyond the guide's tables."""
    op.create_unique_constraint(
        "uq_template_versions_template_id_version",
        "template_versions",
        ["template_id", "version"],
    )
    op.create_index(
        "uq_template_versions_one_current",
        "template_versions",
        ["template_id"],
        unique=True,
        postgresql_where=sa.text("is_current"),
    )
    op.create_index(
        "idx_template_versions_template_created",
        "template_versions",
        ["template_id", "created_at"],
    )
    op.create_index(
        "idx_templates_deleted_at",
        "templates",
        ["deleted_at"],
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )
    op.add_column(
        "templates",
        sa.Column(
            "metadata", postgresql.JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")
        ),
    )
    op.add_column(
        "template_translations",
        sa.Column("is_stale", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.add_column(
        "template_translations",
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("clock_timestamp()"),
        ),
    )
    op.create_table(
        "idempotency_records",
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("task", sa.String(100), nullable=False),
        sa.Column("content_sha256", sa.LargeBinary, nullable=False),
        sa.Column("result", postgresql.JSON),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("clock_timestamp()"),
        ),
        sa.PrimaryKeyConstraint("key", name="pk_idempotency_records"),
    )
    op.create_index("idx_idempotency_records_created_at", "idempotency_records", ["created_at"])


def downgrade() -> None:
    """Go back to the guide's tables."""
    op.drop_table("idempotency_records")
    op.drop_column("template_translations", "updated_at")
    op.drop_column("template_translations", "is_stale")
    op.drop_column("templates", "metadata")
    op.drop_index("idx_templates_deleted_at", "templates")
    op.drop_index("idx_template_versions_template_created", "template_versions")
    op.drop_index("uq_template_versions_one_current", "template_versions")
    op.drop_constraint("uq_template_versions_template_id_version", "template_versions")
