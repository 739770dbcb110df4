"""An own text part, a preheader and inlined styles of versions and translations; the type json.

Revision ID: 0005
Revises: 0004
Create Date: 2026-11-27 05:45:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# The first migration gave the name that the naming convention put its prefix before once more.
_CHECK = "ck_templates_ck_templates_type"
_TYPES = ("email", "in_app", "sms", "push", "partial")


def upgrade() -> None:
    """Add the columns; what was published before has none of it."""
    for table in ("template_versions", "template_translations"):
        for column in ("text", "preheader", "inlined_body"):
            op.add_column(table, sa.Column(column, sa.Text))
    op.add_column(
        "template_versions",
        sa.Column("inline_css", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    _replace_check((*_TYPES, "json"))


def downgrade() -> None:
    """Drop the columns; templates of the type json go too: no older worker could render them."""
    op.execute("DELETE FROM templates WHERE type = 'json'")
    _replace_check(_TYPES)
    op.drop_column("template_versions", "inline_css")
    for table in ("template_translations", "template_versions"):
        for column in ("inlined_body", "preheader", "text"):
            op.drop_column(table, column)


def _replace_check(types: tuple[str, ...]) -> None:
    """Replace the check of the types; without NOT VALID the table would be locked for its scan."""
    allowed = ", ".join(f"'{kind}'" for kind in types)
    op.execute(f"ALTER TABLE templates DROP CONSTRAINT {_CHECK}")
    op.execute(
        f"ALTER TABLE templates ADD CONSTRAINT {_CHECK} CHECK (type IN ({allowed})) NOT VALID"
    )
    op.execute(f"ALTER TABLE templates VALIDATE CONSTRAINT {_CHECK}")
