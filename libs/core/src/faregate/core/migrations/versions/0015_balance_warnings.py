"""When the owner of a low or exhausted wallet was warned last

Revision: 0015, after 0013. Wallets that are low or exhausted already were warned of when they became so.
"""

import sqlalchemy as sa
from alembic import context, op

revision = "0015"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("low_told_at", "exhausted_told_at"):
        op.add_column(
            "wallet",
            sa.Column(name, sa.DateTime(timezone=True), nullable=True),
            schema=context.config.attributes["schema"],
        )


def downgrade() -> None:
    for name in ("exhausted_told_at", "low_told_at"):
        op.drop_column("wallet", name, schema=context.config.attributes["schema"])
