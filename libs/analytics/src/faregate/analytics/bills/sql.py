"""SQL of provider bills."""

__all__ = [
    "BILL_ADD",
    "BILL_COVERED",
    "BILL_CURRENT",
    "BILL_LEDGER",
    "BILL_LINES",
    "BILL_LIST",
    "BILL_LOCK",
    "BILL_PAGE",
    "BILL_REMOVE",
    "BILL_RETURN",
    "BILL_SUPERSEDE",
    "LINE_COLUMNS",
]

LINE_COLUMNS = (
    *(
        "import_id",
        "number",
        "group_key",
        "line_key",
        "provider",
        "start_at",
        "end_at",
        "model",
        "token_type",
        "tokens",
    ),
    *("cost_usd", "requests", "request_id", "detail"),
)

BILL_LOCK = "lock table faregate.bill_import in share row exclusive mode"
"""Imports of one deployment follow each other; readers do not wait."""

BILL_CURRENT = """
select l.line_key, l.import_id from faregate.bill_line l
where l.group_key = any(cast(:groups as uuid[])) and l.superseded_by is null
"""

BILL_ADD = """
insert into faregate.bill_import (import_id, source, provider, file_name, lines, known, replaced, actor)
values (:import_id, :source, :provider, :file_name, :lines, :known, :replaced, :actor)
"""

BILL_SUPERSEDE = """
update faregate.bill_line set superseded_by = :import_id
where line_key = any(cast(:line_keys as uuid[])) and superseded_by is null
"""

BILL_LIST = """
select i.import_id, i.source, i.provider, i.file_name, i.lines, i.known, i.replaced, i.actor, i.imported_at,
  coalesce(l.added, 0) as added, coalesce(l.current, 0) as current, coalesce(l.cost, 0) as cost, l.first, l.last
from faregate.bill_import i
left join lateral (
  select count(*) as added, count(*) filter (where b.superseded_by is null) as current, sum(b.cost_usd) as cost,
    min(b.start_at) as first, max(b.end_at) as last
  from faregate.bill_line b where b.import_id = i.import_id
) l on true
where (cast(:import_id as uuid) is null or i.import_id = :import_id)
  and (cast(:before as uuid) is null or i.import_id < :before)
order by i.import_id desc limit :limit
"""
"""Ids are in the order of time."""

_LINE = """
select l.import_id, l.number, l.provider, l.start_at, l.end_at, l.model, l.token_type, l.tokens::text as tokens, l.cost_usd,
  l.requests, l.request_id, l.detail
from faregate.bill_line l
"""

BILL_LINES = f"""
{_LINE}
where l.provider = :provider and l.start_at >= :start and l.start_at < :end and l.superseded_by is null
order by l.start_at, l.import_id, l.number limit :limit
"""

BILL_PAGE = f"""
{_LINE}
where l.import_id = :import_id and l.number > :after order by l.number limit :limit
"""

BILL_COVERED = """
select min(l.start_at) as first, max(greatest(l.end_at, l.start_at + interval '1 microsecond')) as last
from faregate.bill_line l where l.provider = :provider and l.superseded_by is null
"""

BILL_RETURN = """
update faregate.bill_line l set superseded_by = null
where l.superseded_by = :import_id
  and not exists (
    select from faregate.bill_line o
    where o.group_key = l.group_key and o.superseded_by is null and o.import_id <> :import_id)
"""
"""What an import took the place of is current again, unless a later import says something about it."""

BILL_REMOVE = "delete from faregate.bill_import where import_id = :import_id returning import_id"

BILL_LEDGER = """
select l.usage_key, l.line_no, l.model, l.provider, l.service_tier, l.tokens::text as tokens, l.provider_cost_usd,
  l.input_cost_usd, l.output_cost_usd, l.settled_at, c.created_at, l.raw->>'response_id' as response_id,
  (c.metadata->'provider_request_id')::text as request_id
from faregate.usage_line l join faregate.charge c using (usage_key)
where l.settled_at >= :start and l.settled_at < :end and l.model is not null
order by l.settled_at, l.usage_key, l.line_no limit :limit
"""
