"""Functions that create, detach and drop monthly partitions with the rights of the owner of the schema

Revision: 0021, after 0020. A role that may only read and write rows uses them for partitions, of which it owns none. It
changes no row and locks nothing; processes of older versions go on creating partitions themselves.
"""

from alembic import context, op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_CHECKED = """
  if not exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = {schema_text} and c.relname = parent and c.relkind = 'p') then
    raise exception '% is not a partitioned table of this schema', parent using errcode = '42P01';
  end if;
"""

_ATTACHED = """exists (select from pg_inherits where inhrelid = to_regclass(format('{schema}.%I', child))
    and inhparent = to_regclass(format('{schema}.%I', parent)))"""

_HEAD = """
returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  since date := date_trunc('month', month);
  child text := parent || to_char(since, '"_y"YYYY"m"MM');
begin
"""

FUNCTIONS = {
    "create_month": """
  execute format('lock table only {schema}.%I in share update exclusive mode', parent);
  if {attached} then return; end if;
  execute format('create table if not exists {schema}.%I (like {schema}.%I including defaults including constraints including storage)',
    child, parent);
  execute format('alter table {schema}.%I attach partition {schema}.%I for values from (%L) to (%L)', parent, child,
    since::timestamp at time zone 'UTC', (since + interval '1 month') at time zone 'UTC');
""",
    "detach_month": """
  execute format('alter table {schema}.%I detach partition {schema}.%I', parent, child);
""",
    "drop_month": """
  if {attached} then
    raise exception '% is attached to %; detach it first', child, parent using errcode = '55000';
  end if;
  execute format('drop table {schema}.%I', child);
""",
}


def upgrade() -> None:
    schema = context.config.attributes["schema"]
    for name, body in FUNCTIONS.items():
        source = f"{_HEAD}{_CHECKED}{body}end $$".replace("{attached}", _ATTACHED)
        source = source.replace("{schema_text}", f"'{schema}'").replace("{schema}", schema)
        op.execute(f"create function {schema}.{name}(parent text, month date) {source}")
        op.execute(f"revoke execute on function {schema}.{name}(text, date) from public")


def downgrade() -> None:
    schema = context.config.attributes["schema"]
    for name in FUNCTIONS:
        op.execute(f"drop function {schema}.{name}(text, date)")
