"""Tenants of a deployment, and the hosts at which they are served

Revision: 0032, after 0031. Two new, empty tables; nothing that is there is changed or locked.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import context, op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def _moment(name: str) -> sa.Column:
    return sa.Column(name, sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False, server_default=sa.text("now()"))


def _text(name: str) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=False)


def upgrade() -> None:
    schema = context.config.attributes["schema"]
    op.create_table(
        "tenant",
        _text("key"),
        _text("db_schema"),
        _text("tag"),
        _text("state"),
        _text("overrides"),
        _moment("changed_at"),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("key", name=op.f("tenant_pkey")),
        sa.UniqueConstraint("db_schema", name=op.f("tenant_db_schema_key")),
        sa.UniqueConstraint("tag", name=op.f("tenant_tag_key")),
        schema=schema,
    )
    op.create_table(
        "tenant_host",
        _text("host"),
        _text("tenant"),
        sa.PrimaryKeyConstraint("host", name=op.f("tenant_host_pkey")),
        schema=schema,
    )
    op.create_index(op.f("tenant_host_tenant_idx"), "tenant_host", ["tenant"], schema=schema)


def downgrade() -> None:
    schema = context.config.attributes["schema"]
    op.drop_table("tenant_host", schema=schema)
    op.drop_table("tenant", schema=schema)
