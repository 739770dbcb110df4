"""The three tables with their indexes and autovacuum settings.

Revision ID: 0001
Revises:
Create Date: 2026-11-22 14:00:00+00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = ("templates", "template_versions", "template_translations")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "templates",
        _id(),
        sa.Column("template_id", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("type", sa.String(50), nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("category", sa.String(100)),
        sa.Column("is_active", sa.Boolean, nullable=False, server_default=sa.true()),
        _time("created_at"),
        _time("updated_at"),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_templates"),
        sa.CheckConstraint(
            "type IN ('email', 'in_app', 'sms', 'push', 'partial')", name="ck_templates_type"
        ),
    )
    op.create_index("idx_templates_template_id", "templates", ["template_id"], unique=True)
    op.create_index("idx_templates_type", "templates", ["type"])
    op.create_index("idx_templates_category", "templates", ["category"])
    op.create_index("idx_templates_is_active", "templates", ["is_active"])
    op.create_index("idx_templates_type_active", "templates", ["type", "is_active"])

    op.create_table(
        "template_versions",
        _id(),
        sa.Column("template_id", sa.UUID, nullable=False),
        sa.Column("version", sa.String(50), nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column(
            "variables", postgresql.JSONB, nullable=False, server_default=sa.text("'[]'::jsonb")
        ),
        sa.Column("is_current", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column(
            "metadata", postgresql.JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")
        ),
        _time("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_template_versions"),
        sa.ForeignKeyConstraint(
            ["template_id"],
            ["templates.id"],
            name="fk_template_versions_template_id_templates",
            ondelete="CASCADE",
        ),
    )
    op.create_index("idx_template_versions_template_id", "template_versions", ["template_id"])
    op.create_index("idx_template_versions_is_current", "template_versions", ["is_current"])
    op.create_index(
        "idx_template_versions_template_current",
        "template_versions",
        ["template_id", "is_current"],
    )

    op.create_table(
        "template_translations",
        _id(),
        sa.Column("template_version_id", sa.UUID, nullable=False),
        sa.Column("language_code", sa.String(10), nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("body", sa.Text, nullable=False),
        _time("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_template_translations"),
        sa.ForeignKeyConstraint(
            ["template_version_id"],
            ["template_versions.id"],
            name="fk_template_translations_template_version_id_template_versions",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "template_version_id",
            "language_code",
            name="uq_template_translations_template_version_id_language_code",
        ),
    )
    op.create_index(
        "idx_template_translations_version_id", "template_translations", ["template_version_id"]
    )
    op.create_index(
        "idx_template_translations_language", "template_translations", ["language_code"]
    )

    for table in TABLES:
        op.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = true)")
    op.execute(
        "ALTER TABLE templates SET (autovacuum_vacuum_scale_factor = 0.1, "
        "autovacuum_analyze_scale_factor = 0.05)"
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in reversed(TABLES):
        op.drop_table(table)


def _id() -> sa.Column[object]:
    return sa.Column("id", sa.UUID, nullable=False, server_default=sa.text("gen_random_uuid()"))


def _time(name: str) -> sa.Column[object]:
    return sa.Column(
        name,
        sa.DateTime(timezone=True),
        nullable=False,
        server_default=sa.text("clock_timestamp()"),
    )
