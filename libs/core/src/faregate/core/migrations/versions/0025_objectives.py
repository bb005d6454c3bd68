"""Service-level objectives and their alerts

Revision: 0025, after 0024. Three new tables; no data that is there changes, and nothing is locked.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import context, op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_TABLES = ("objective_delivery", "objective_alert", "objective")


def _moment(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column:
    moment = sqlmodel.sql.sqltypes.UTCDateTime()
    return sa.Column(name, moment, nullable=nullable, server_default=sa.text(default) if default else None)


def _text(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=nullable, server_default=sa.text(default) if default else None)


def _whole(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column:
    return sa.Column(name, sa.Integer(), nullable=nullable, server_default=sa.text(default) if default else None)


def upgrade() -> None:
    schema = context.config.attributes["schema"]
    op.create_table(
        "objective",
        _text("name"),
        _text("scope"),
        _text("value", nullable=True),
        _text("indicator"),
        sa.Column("target_percent", sa.Numeric(), nullable=False),
        _whole("threshold_ms", nullable=True),
        _whole("window_days"),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        _whole("revision", default="1"),
        sa.Column("status", JSONB(), nullable=True),
        _moment("checked_at", nullable=True),
        _moment("updated_at", default="now()"),
        sa.CheckConstraint("scope in ('total', 'service', 'feature', 'model')", name=op.f("objective_scope_check")),
        sa.CheckConstraint("indicator in ('availability', 'latency')", name=op.f("objective_indicator_check")),
        sa.CheckConstraint("target_percent > 0 and target_percent < 100", name=op.f("objective_target_check")),
        sa.PrimaryKeyConstraint("name", name=op.f("objective_pkey")),
        schema=schema,
    )
    _create_alerts(schema)


def _create_alerts(schema: str) -> None:
    op.create_table(
        "objective_alert",
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        _text("name"),
        _whole("revision"),
        _text("rule"),
        sa.Column("rate", sa.Numeric(), nullable=False),
        sa.Column("threshold", sa.Numeric(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("bad", sa.BigInteger(), nullable=False),
        _moment("fired_at"),
        _moment("ended_at", nullable=True),
        sa.ForeignKeyConstraint(
            ["name"], [f"{schema}.objective.name"], name=op.f("objective_alert_name_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("objective_alert_pkey")),
        schema=schema,
    )
    op.create_index(
        "objective_alert_open_key",
        "objective_alert",
        ["name", "rule"],
        unique=True,
        schema=schema,
        postgresql_where=sa.text("ended_at is null"),
    )
    op.create_index("objective_alert_fired_idx", "objective_alert", ["name", "fired_at"], schema=schema)
    op.create_table(
        "objective_delivery",
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        _text("channel"),
        _text("status", default="'pending'"),
        _whole("attempts", default="0"),
        _moment("next_at"),
        _moment("delivered_at", nullable=True),
        _text("last_error", nullable=True),
        sa.CheckConstraint(
            "status in ('pending', 'delivered', 'failed')", name=op.f("objective_delivery_status_check")
        ),
        sa.ForeignKeyConstraint(
            ["alert_id"],
            [f"{schema}.objective_alert.alert_id"],
            name=op.f("objective_delivery_alert_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("alert_id", "channel", name=op.f("objective_delivery_pkey")),
        schema=schema,
    )
    op.create_index(
        "objective_delivery_due_idx",
        "objective_delivery",
        ["next_at"],
        schema=schema,
        postgresql_where=sa.text("status = 'pending'"),
    )


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table, schema=context.config.attributes["schema"])
