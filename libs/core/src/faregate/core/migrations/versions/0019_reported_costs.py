"""Lines of settlements keep the cost that the provider reported

Revision: 0019, after 0018. Pricing a line afterwards reads it, as the first pricing did.
"""

from alembic import context, op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    schema = context.config.attributes["schema"]
    op.execute(f"alter table {schema}.usage_line add column reported_cost_usd numeric")


def downgrade() -> None:
    schema = context.config.attributes["schema"]
    op.execute(f"alter table {schema}.usage_line drop column reported_cost_usd")
