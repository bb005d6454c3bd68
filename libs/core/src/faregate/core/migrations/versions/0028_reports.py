"""Report subscriptions, their recipients and deliveries

Revision: 0028, after 0027. Three new tables; no data that is there changes, and nothing is locked.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import context, op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_TABLES = ("report_delivery", "report_recipient", "report_subscription")


def _moment(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column:
    moment = sqlmodel.sql.sqltypes.UTCDateTime()
    return sa.Column(name, moment, nullable=nullable, server_default=sa.text(default) if default else None)


def _text(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=nullable, server_default=sa.text(default) if default else None)


def _small(name: str) -> sa.Column:
    return sa.Column(name, sa.SmallInteger(), nullable=False)


def _flag(name: str, *, default: str | None = None) -> sa.Column:
    return sa.Column(name, sa.Boolean(), server_default=sa.text(default) if default else None, nullable=False)


def upgrade() -> None:
    schema = context.config.attributes["schema"]
    op.create_table(
        "report_subscription",
        _text("name"),
        _text("kind"),
        _text("scope"),
        sa.Column("subject_id", sa.BigInteger(), nullable=True),
        sa.Column("filters", JSONB(), nullable=False),
        _text("timezone"),
        _small("hour"),
        _small("weekday"),
        _small("month_day"),
        sa.Column("files", ARRAY(sa.Text()), nullable=False),
        _flag("active"),
        _moment("next_at", nullable=True),
        _moment("updated_at", default="now()"),
        sa.CheckConstraint("kind in ('daily', 'weekly', 'monthly')", name=op.f("report_subscription_kind_check")),
        sa.CheckConstraint(
            "scope in ('business', 'organization', 'user')", name=op.f("report_subscription_scope_check")
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"], [f"{schema}.subject.subject_id"], name=op.f("report_subscription_subject_id_fkey")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("report_subscription_pkey")),
        schema=schema,
    )
    op.create_index(
        "report_subscription_due_idx",
        "report_subscription",
        ["next_at"],
        schema=schema,
        postgresql_where=sa.text("next_at is not null"),
    )
    _create_recipients(schema)
    _create_deliveries(schema)


def _create_recipients(schema: str) -> None:
    op.create_table(
        "report_recipient",
        _text("name"),
        _text("address"),
        _small("position"),
        _flag("listed", default="true"),
        _text("state", default="'active'"),
        sa.Column("token", sa.Uuid(), nullable=False),
        _moment("changed_at", default="now()"),
        _text("last_error", nullable=True),
        sa.CheckConstraint(
            "state in ('active', 'unsubscribed', 'suspended')", name=op.f("report_recipient_state_check")
        ),
        sa.ForeignKeyConstraint(
            ["name"],
            [f"{schema}.report_subscription.name"],
            name=op.f("report_recipient_name_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("name", "address", name=op.f("report_recipient_pkey")),
        schema=schema,
    )
    op.create_index("report_recipient_token_key", "report_recipient", ["token"], unique=True, schema=schema)


def _create_deliveries(schema: str) -> None:
    op.create_table(
        "report_delivery",
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        _text("name"),
        _text("address"),
        _moment("period_start"),
        _moment("period_end"),
        _flag("test", default="false"),
        _text("status", default="'pending'"),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        _moment("due_at"),
        _moment("next_at"),
        _moment("finished_at", nullable=True),
        _text("last_error", nullable=True),
        sa.CheckConstraint(
            "status in ('pending', 'sent', 'bounced', 'failed', 'cancelled')",
            name=op.f("report_delivery_status_check"),
        ),
        sa.ForeignKeyConstraint(
            ["name"],
            [f"{schema}.report_subscription.name"],
            name=op.f("report_delivery_name_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("report_delivery_pkey")),
        schema=schema,
    )
    op.create_index(
        "report_delivery_once_key",
        "report_delivery",
        ["name", "address", "period_start"],
        unique=True,
        schema=schema,
        postgresql_where=sa.text("not test"),
    )
    op.create_index(
        "report_delivery_due_idx",
        "report_delivery",
        ["next_at"],
        schema=schema,
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index("report_delivery_name_idx", "report_delivery", ["name", "due_at"], schema=schema)


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table, schema=context.config.attributes["schema"])
