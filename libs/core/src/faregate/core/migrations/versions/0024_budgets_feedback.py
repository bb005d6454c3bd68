"""Budgets with their alerts, feedback on uses, an index of usage lines by time

Revision: 0024, after 0023. Four new tables; no data that is there changes. The index of `usage_line` is a small BRIN index: while it is
built, settlements wait (about a second for each ten million lines).
"""

import sqlalchemy as sa
import sqlmodel
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_TABLES = ("feedback", "budget_delivery", "budget_alert", "budget")


def _moment(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column:
    moment = sqlmodel.sql.sqltypes.UTCDateTime()
    return sa.Column(name, moment, nullable=nullable, server_default=sa.text(default) if default else None)


def _text(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=nullable, server_default=sa.text(default) if default else None)


def _texts(name: str) -> sa.Column:
    return sa.Column(name, postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False)


def _number(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Numeric(), nullable=nullable)


def upgrade() -> None:
    schema = context.config.attributes["schema"]
    _create_budgets(schema)
    _create_budget_alerts(schema)
    _create_feedback(schema)
    op.create_index(
        "usage_line_settled_idx",
        "usage_line",
        ["settled_at"],
        schema=schema,
        postgresql_using="brin",
        postgresql_with={"autosummarize": "on"},
    )


def _create_budgets(schema: str) -> None:
    op.create_table(
        "budget",
        _text("name"),
        _text("scope"),
        _text("value", nullable=True),
        sa.Column("subject_id", sa.BigInteger(), nullable=True),
        _text("unit"),
        _number("amount"),
        _text("period"),
        _text("timezone"),
        sa.Column("thresholds", postgresql.ARRAY(sa.Numeric()), nullable=True),
        _texts("emails"),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("revision", sa.Integer(), server_default=sa.text("1"), nullable=False),
        _moment("updated_at", default="now()"),
        sa.CheckConstraint("amount > 0", name=op.f("budget_amount_check")),
        sa.CheckConstraint(
            "scope in ('business', 'feature', 'model', 'organization')", name=op.f("budget_scope_check")
        ),
        sa.ForeignKeyConstraint(["subject_id"], [f"{schema}.subject.subject_id"], name=op.f("budget_subject_id_fkey")),
        sa.PrimaryKeyConstraint("name", name=op.f("budget_pkey")),
        schema=schema,
    )


def _create_budget_alerts(schema: str) -> None:
    op.create_table(
        "budget_alert",
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        _text("name"),
        sa.Column("revision", sa.Integer(), nullable=False),
        _moment("period_start"),
        _moment("period_end"),
        _text("level"),
        _number("used"),
        _number("amount"),
        _number("expected", nullable=True),
        sa.Column("superseded", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _moment("fired_at"),
        sa.ForeignKeyConstraint(
            ["name"], [f"{schema}.budget.name"], name=op.f("budget_alert_name_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("budget_alert_pkey")),
        sa.UniqueConstraint("name", "revision", "period_start", "level", name="budget_alert_once_key"),
        schema=schema,
    )
    op.create_index("budget_alert_fired_idx", "budget_alert", ["fired_at"], schema=schema)
    op.create_table(
        "budget_delivery",
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        _text("channel"),
        _text("status", default="'pending'"),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        _moment("next_at"),
        _moment("delivered_at", nullable=True),
        _text("last_error", nullable=True),
        sa.CheckConstraint("status in ('pending', 'delivered', 'failed')", name=op.f("budget_delivery_status_check")),
        sa.ForeignKeyConstraint(
            ["alert_id"],
            [f"{schema}.budget_alert.alert_id"],
            name=op.f("budget_delivery_alert_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("alert_id", "channel", name=op.f("budget_delivery_pkey")),
        schema=schema,
    )
    op.create_index(
        "budget_delivery_due_idx",
        "budget_delivery",
        ["next_at"],
        schema=schema,
        postgresql_where=sa.text("status = 'pending'"),
    )


def _create_feedback(schema: str) -> None:
    op.create_table(
        "feedback",
        _text("usage_key"),
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        _text("feature_key"),
        sa.Column("score", sa.SmallInteger(), nullable=False),
        _texts("tags"),
        _text("comment", nullable=True),
        _number("sentiment", nullable=True),
        _text("sentiment_by", nullable=True),
        _moment("created_at"),
        _moment("updated_at"),
        sa.CheckConstraint("score between 1 and 5", name=op.f("feedback_score_check")),
        sa.CheckConstraint("sentiment between -1 and 1", name=op.f("feedback_sentiment_check")),
        sa.PrimaryKeyConstraint("usage_key", "subject_id", name=op.f("feedback_pkey")),
        schema=schema,
    )
    op.create_index("feedback_subject_idx", "feedback", ["subject_id"], schema=schema)
    op.create_index("feedback_updated_idx", "feedback", ["updated_at"], schema=schema)
    op.create_index(
        "feedback_unread_idx",
        "feedback",
        ["updated_at"],
        schema=schema,
        postgresql_where=sa.text("comment is not null and sentiment_by is null"),
    )


def downgrade() -> None:
    schema = context.config.attributes["schema"]
    op.drop_index("usage_line_settled_idx", table_name="usage_line", schema=schema)
    for table in _TABLES:
        op.drop_table(table, schema=schema)
