"""The ledger is append-only: the database itself refuses update, delete and truncate.

Revision: 0002, after 0001.
"""

from alembic import context, op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None
TABLES = ("transfer", "grant_slice")


def upgrade() -> None:
    SCHEMA = context.config.attributes["schema"]
    op.execute(
        f"""
        create function {SCHEMA}.refuse_change() returns trigger language plpgsql as $$
        begin
          raise exception '% is append-only; post a correcting transfer instead', tg_table_name using errcode = '23000';
        end $$
        """
    )
    for table in TABLES:
        op.execute(
            f"""
            create trigger {table}_append_only before update or delete or truncate on {SCHEMA}.{table}
            for each statement execute function {SCHEMA}.refuse_change()
            """
        )


def downgrade() -> None:
    SCHEMA = context.config.attributes["schema"]
    for table in TABLES:
        op.execute(f"drop trigger {table}_append_only on {SCHEMA}.{table}")
    op.execute(f"drop function {SCHEMA}.refuse_change()")
