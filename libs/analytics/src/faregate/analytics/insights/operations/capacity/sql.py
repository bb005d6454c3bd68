"""SQL of table sizes and of PostgreSQL's own statistics."""

__all__ = ["CAPACITY_DATABASE", "CAPACITY_TABLES"]

CAPACITY_TABLES = """
with own as (
  select c.oid, coalesce(parent.relname, c.relname)::text as name, c.reltuples
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  left join pg_inherits i on i.inhrelid = c.oid left join pg_class parent on parent.oid = i.inhparent
  where n.nspname = :schema and c.relkind = 'r'
)
select own.name, sum(pg_total_relation_size(own.oid))::bigint as bytes,
  sum(greatest(own.reltuples, s.n_live_tup, 0))::bigint as rows
from own left join pg_stat_all_tables s on s.relid = own.oid
group by own.name order by 2 desc, 1
"""

CAPACITY_DATABASE = """
select pg_database_size(current_database()) as bytes, d.active_time::numeric as active_ms, d.stats_reset as counted_since
from pg_stat_database d where d.datname = current_database()
"""
