"""SQL of the columnar copy's state, months and files."""

from faregate.analytics.columnar.columns import copied_sql

__all__ = [
    "ADD_FILES",
    "ADD_MONTHS",
    "ADVANCE",
    "ATTACHED",
    "BEGIN_ANEW",
    "COPY",
    "DROP_MONTHS",
    "FILES",
    "FORGET_FILES",
    "LOCK",
    "MONTHS",
    "PREPARE",
    "REPLACE_FILES",
    "REPLACE_MONTHS",
    "STATE",
    "TAIL",
    "VIEW",
    "WAITING",
]

_MONTHS = """
select to_date(substring(c.relname from '_y(\\d{4}m\\d{2})$'), 'YYYY"m"MM') as month, c.oid::bigint as table_oid
from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = cast(cast(:parent as text) as regclass)
"""

PREPARE = """
select set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)
"""
"""A month takes long to copy."""

LOCK = "select 1 from faregate.columnar_state where state_id = 1 for update skip locked"
"""The lock that allows one run at a time; it yields no row while another one runs."""

STATE = """
select s.store, s.from_tx, s.open_txs, s.copied_at,
  s.table_oid = cast(cast(:parent as text) as regclass)::oid::bigint and s.from_tx <= now.snapshot_max as own,
  r.from_tx <= now.snapshot_max as adopted, now.*,
  s.copied_at is null or s.copied_at < now() - make_interval(secs => :longest_seconds) as late
from faregate.columnar_state s
join faregate.rollup_state r on r.state_id = 1
cross join (
  select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as snapshot_max,
    array(select x::text::bigint from pg_snapshot_xip(pg_current_snapshot()) x) as in_progress) now
where s.state_id = 1
"""

BEGIN_ANEW = """
with months as (delete from faregate.columnar_month), files as (delete from faregate.columnar_file)
update faregate.columnar_state set store = gen_random_uuid(),
  table_oid = cast(cast(:parent as text) as regclass)::oid::bigint, from_tx = 0, open_txs = '{}', copied_at = null
where state_id = 1 returning store
"""
"""The files are left alone: they may be those of the database that this one was restored from."""

ATTACHED = f"select a.month, a.table_oid from ({_MONTHS}) a where a.month is not null order by 1 desc"  # noqa: S608

MONTHS = "select month, table_oid from faregate.columnar_month"

FILES = """
select file_id, month, facts, bytes, first_at, last_at, replaced_at is not null as replaced,
  replaced_at < now() - make_interval(secs => :kept_seconds) as over
from faregate.columnar_file
"""


WAITING = """
select date_trunc('month', e.time, 'UTC') as month, count(*) as facts from faregate.usage_event e
where e.tx >= :from_tx or e.tx = any(cast(:open_txs as bigint[]))
group by 1
"""

COPY = f"""
select {copied_sql()} from faregate.usage_event e
where e.time >= :start and e.time < :end
  and (e.tx >= :from_tx or e.tx = any(cast(:open_txs as bigint[])))
  and e.tx < :next_tx and not e.tx = any(cast(:next_open as bigint[]))
"""  # noqa: S608
"""The facts of a month that the new snapshot sees and the old one did not. The statements of a run could see more facts, so the
snapshots are parameters."""

ADD_FILES = """
insert into faregate.columnar_file (file_id, month, facts, bytes, first_at, last_at)
select * from unnest(cast(:file_ids as uuid[]), cast(:months as date[]), cast(:facts as bigint[]), cast(:bytes as bigint[]),
  cast(:firsts as timestamptz[]), cast(:lasts as timestamptz[]))
"""

ADD_MONTHS = """
insert into faregate.columnar_month (month, table_oid)
select * from unnest(cast(:months as date[]), cast(:table_oids as bigint[]))
"""

DROP_MONTHS = "delete from faregate.columnar_month where month = any(cast(:months as date[]))"

REPLACE_MONTHS = """
update faregate.columnar_file set replaced_at = now() where month = any(cast(:months as date[])) and replaced_at is null
"""

REPLACE_FILES = """
update faregate.columnar_file set replaced_at = now() where file_id = any(cast(:file_ids as uuid[]))
"""

FORGET_FILES = "delete from faregate.columnar_file where file_id = any(cast(:file_ids as uuid[]))"

ADVANCE = """
update faregate.columnar_state set from_tx = :next_tx, open_txs = cast(:next_open as bigint[]), copied_at = now()
where state_id = 1
"""

VIEW = f"""
with attached as ({_MONTHS}), asked as (
  select a.month, m.month is not null as copied
  from attached a left join faregate.columnar_month m on m.month = a.month and m.table_oid = a.table_oid
  where a.month::timestamp at time zone 'UTC' < cast(:end as timestamptz)
    and (a.month + interval '1 month') at time zone 'UTC' > cast(:start as timestamptz)
)
select s.store, s.from_tx, s.open_txs, (select coalesce(bool_and(copied), true) from asked) as copied,
  f.file_ids, f.sizes, f.facts, f.whole
from faregate.columnar_state s
cross join (
  select array_agg(f.file_id order by f.first_at, f.file_id) as file_ids,
    array_agg(f.bytes order by f.first_at, f.file_id) as sizes,
    coalesce(sum(f.facts), 0)::bigint as facts,
    array_agg(f.file_id) filter (where f.first_at >= cast(:start as timestamptz) and f.last_at < cast(:end as timestamptz)) as whole
  from faregate.columnar_file f
  where f.replaced_at is null and f.month in (select month from asked)
    and f.first_at < cast(:end as timestamptz) and f.last_at >= cast(:start as timestamptz)
) f
where s.state_id = 1
"""  # noqa: S608
"""The files of a question, and whether they hold all months of it that the table of facts shows; detached months are left
out, as they are there."""

TAIL = f"""
select count(*) as facts, coalesce(json_agg(t)::text, '[]') as rows
from (select {copied_sql()} from faregate.usage_event e where {{conditions}} limit {{limit}}) t
"""  # noqa: S608
