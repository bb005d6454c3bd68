"""Reasons of transfers beside the ledger, so that an erasure reaches them

Revision: 0013, after 0012. Transfers of before keep their words in the row, which their hash covers.
"""

import sqlalchemy as sa
from alembic import context, op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    schema = context.config.attributes["schema"]
    op.create_table(
        "transfer_reason",
        sa.Column("wallet_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("wallet_id", "seq", name=op.f("transfer_reason_pkey")),
        schema=schema,
    )


def downgrade() -> None:
    op.drop_table("transfer_reason", schema=context.config.attributes["schema"])
