"""The runs of maintenance, and what beat has sent.

Revision ID: 0004
Revises: 0003
Create Date: 2026-11-22 20:30:00+00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "maintenance_runs",
        sa.Column("task", sa.String(100), nullable=False),
        sa.Column("id", sa.String(255), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("clock_timestamp()"),
        ),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("result", postgresql.JSON),
        sa.Column("error", sa.String(100)),
        sa.PrimaryKeyConstraint("task", "id", name="pk_maintenance_runs"),
        sa.CheckConstraint(
            "state IN ('passed', 'sent', 'running', 'done', 'skipped', 'failed')",
            name="ck_maintenance_runs_state",
        ),
    )
    op.create_index("idx_maintenance_runs_task_created", "maintenance_runs", ["task", "created_at"])


def downgrade() -> None:
    """Drop the table; beat then begins anew, as on a new database."""
    op.drop_table("maintenance_runs")
