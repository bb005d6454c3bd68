"""Who took a grant back, and why, beside who granted it

Revision: 0012, after 0011. Of grants that were voided before, only who voided them is known.
"""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    schema = context.config.attributes["schema"]
    op.add_column(
        "credit_grant",
        sa.Column("void_note", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        schema=schema,
    )
    op.execute(
        f"update {schema}.credit_grant set void_note = jsonb_build_object('actor', actor, 'reason', reason) where voided"
    )


def downgrade() -> None:
    op.drop_column("credit_grant", "void_note", schema=context.config.attributes["schema"])
