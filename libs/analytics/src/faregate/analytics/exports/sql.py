"""SQL of exports."""

__all__ = ["FROM_EVENTS"]

FROM_EVENTS = """
from faregate.usage_event e
join faregate.subject s on s.subject_id = e.subject_id
left join faregate.subject o on o.subject_id = e.organization_id
where {where} and e.sign > 0 and not exists (
  select from faregate.usage_correction c where c.event_key = e.event_key and c.version = e.version
)
"""
