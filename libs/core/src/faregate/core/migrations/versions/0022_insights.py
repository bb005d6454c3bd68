"""Kept insights, anomalies and segment rules

Revision: 0022, after 0021. Only new tables: it locks nothing that is there.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_TABLES = ("segment_rule", "anomaly_delivery", "anomaly", "insight_person", "insight")


def _moment(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sqlmodel.sql.sqltypes.UTCDateTime(), nullable=nullable)


def _text(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=nullable, server_default=sa.text(default) if default else None)


def _json(name: str) -> sa.Column:
    return sa.Column(name, postgresql.JSONB(), nullable=False)


def upgrade() -> None:
    schema = context.config.attributes["schema"]
    op.create_table(
        "insight",
        sa.Column("insight_id", sa.Uuid(), nullable=False),
        _text("kind"),
        sa.Column("ask_key", sa.Uuid(), nullable=False),
        _json("parameters"),
        sa.Column("owners", postgresql.ARRAY(sa.BigInteger()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("enough", sa.Boolean(), nullable=False),
        _json("evidence"),
        _json("answer"),
        _moment("made_at"),
        sa.PrimaryKeyConstraint("insight_id", name=op.f("insight_pkey")),
        schema=schema,
    )
    op.create_index("insight_ask_idx", "insight", ["ask_key", sa.text("made_at desc")], schema=schema)
    op.create_index("insight_made_idx", "insight", ["made_at"], schema=schema)
    op.create_table(
        "insight_person",
        sa.Column("insight_id", sa.Uuid(), nullable=False),
        sa.Column("rank", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        _json("facts"),
        sa.ForeignKeyConstraint(
            ["insight_id"],
            [f"{schema}.insight.insight_id"],
            name=op.f("insight_person_insight_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("insight_id", "rank", name=op.f("insight_person_pkey")),
        schema=schema,
    )
    op.create_index("insight_person_subject_idx", "insight_person", ["subject_id"], schema=schema)
    _create_anomalies(schema)
    op.create_table(
        "segment_rule",
        _text("name"),
        _json("conditions"),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("segment_rule_pkey")),
        schema=schema,
    )


def _create_anomalies(schema: str) -> None:
    op.create_table(
        "anomaly",
        sa.Column("anomaly_id", sa.Uuid(), nullable=False),
        _text("scope"),
        _text("value", nullable=True),
        sa.Column("subject_id", sa.BigInteger(), nullable=True),
        _text("measure"),
        _text("unit"),
        _moment("period_start"),
        _moment("period_end"),
        sa.Column("actual", sa.Numeric(), nullable=False),
        sa.Column("expected", sa.Numeric(), nullable=False),
        sa.Column("allowed", sa.Numeric(), nullable=False),
        _json("reason"),
        _text("verdict", nullable=True),
        _text("verdict_by", nullable=True),
        _moment("verdict_at", nullable=True),
        _moment("found_at"),
        sa.CheckConstraint("verdict in ('confirmed', 'not_an_anomaly')", name=op.f("anomaly_verdict_check")),
        sa.ForeignKeyConstraint(["subject_id"], [f"{schema}.subject.subject_id"], name=op.f("anomaly_subject_id_fkey")),
        sa.PrimaryKeyConstraint("anomaly_id", name=op.f("anomaly_pkey")),
        sa.UniqueConstraint(
            *("scope", "value", "subject_id", "measure", "unit", "period_start"),
            name="anomaly_once_key",
            postgresql_nulls_not_distinct=True,
        ),
        schema=schema,
    )
    op.create_index("anomaly_found_idx", "anomaly", ["found_at"], schema=schema)
    op.create_index(
        "anomaly_subject_idx",
        "anomaly",
        ["subject_id"],
        schema=schema,
        postgresql_where=sa.text("subject_id is not null"),
    )
    op.create_table(
        "anomaly_delivery",
        sa.Column("anomaly_id", sa.Uuid(), nullable=False),
        _text("channel"),
        _text("status", default="'pending'"),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        _moment("next_at"),
        _moment("delivered_at", nullable=True),
        _text("last_error", nullable=True),
        sa.CheckConstraint("status in ('pending', 'delivered', 'failed')", name=op.f("anomaly_delivery_status_check")),
        sa.ForeignKeyConstraint(
            ["anomaly_id"],
            [f"{schema}.anomaly.anomaly_id"],
            name=op.f("anomaly_delivery_anomaly_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("anomaly_id", "channel", name=op.f("anomaly_delivery_pkey")),
        schema=schema,
    )
    op.create_index(
        "anomaly_delivery_due_idx",
        "anomaly_delivery",
        ["next_at"],
        schema=schema,
        postgresql_where=sa.text("status = 'pending'"),
    )


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table, schema=context.config.attributes["schema"])
