"""Verified heads

Revision: 0004, after 0003.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import context, op
from sqlalchemy.dialects import postgresql
revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    SCHEMA = context.config.attributes["schema"]
    op.create_table('verified_head',
    sa.Column('wallet_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('seq', sa.BigInteger(), nullable=False),
    sa.Column('hash', sa.LargeBinary(), nullable=False),
    sa.Column('credits', sa.BigInteger(), nullable=False),
    sa.Column('debits', sa.BigInteger(), nullable=False),
    sa.Column('remaining', sa.BigInteger(), nullable=False),
    sa.Column('grants', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('verified_at', sqlmodel.sql.sqltypes.UTCDateTime(), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('wallet_id', name=op.f('verified_head_pkey')),
    schema=SCHEMA
    )


def downgrade() -> None:
    SCHEMA = context.config.attributes["schema"]
    op.drop_table('verified_head', schema=SCHEMA)
