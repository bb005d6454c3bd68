"""Times at the ends of the calendar become none, or the nearest that is allowed

Revision: 0016, after 0015. Moments come in from 1970 up to 2200 only. What was stored before that rule is mended here: an
expiry from 2200 on is none, a beginning before 1970 is 1970, and wallets that wait for such a moment look again.
"""

from alembic import context, op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

EARLIEST, LATEST = "timestamptz '1970-01-01 00:00Z'", "timestamptz '2200-01-01 00:00Z'"
NONE_FROM_LATEST = [
    ("credit_grant", "expires_at"),
    ("api_key", "expires_at"),
    ("price_override", "effective_to"),
]
CLAMPED = [("credit_grant", "effective_at"), ("credit_grant", "next_renewal_at"), ("price_override", "effective_from")]


def upgrade() -> None:
    schema = context.config.attributes["schema"]
    for table, column in NONE_FROM_LATEST:
        op.execute(f"update {schema}.{table} set {column} = null where {column} >= {LATEST}")
    for table, column in CLAMPED:
        op.execute(f"update {schema}.{table} set {column} = {EARLIEST} where {column} < {EARLIEST}")
        op.execute(
            f"update {schema}.{table} set {column} = {LATEST} - interval '1 day' where {column} >= {LATEST}"
        )
    op.execute(
        f"update {schema}.wallet set next_change_at = {EARLIEST}"
        f" where next_change_at >= {LATEST} or next_change_at < {EARLIEST}"
    )


def downgrade() -> None:
    """Nothing to take back: what was there before could not be read."""
