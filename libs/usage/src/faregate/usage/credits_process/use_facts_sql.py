"""SQL of filters of finished uses by their usage events."""

from typing import Any

from faregate.usage.credits_process.use_facts import UseFacts
from faregate.wire.model_names import canonical_provider

__all__ = ["EVENT_FILTER", "event_parameters"]

EVENT_FILTER = """
  and (not cast(:by_events as boolean) or exists (
    select from faregate.usage_event e
    where e.subject_id = c.subject_id and e.usage_key = c.usage_key and e.sign > 0
      and e.time >= c.created_at - interval '1 day' and e.time <= c.settled_at + interval '1 day'
      and (cast(:service as text) is null or e.service = :service)
      and (cast(:providers as text[]) is null or e.provider = any(cast(:providers as text[])))
      and (cast(:country as text) is null or e.country = :country)
      and (cast(:device as text) is null or e.device = :device)
      and (cast(:status_from as integer) is null or e.status between :status_from and cast(:status_to as integer))
      and not exists (
        select from faregate.usage_correction k where k.event_key = e.event_key and k.version = e.version)))
"""
"""The condition on a charge `c`; the events of a use are near its start and its end."""

_ANY_STATUS = {"success": (0, 399), "error": (400, 999)}


def event_parameters(facts: UseFacts) -> dict[str, Any]:
    """Return the parameters of `EVENT_FILTER`."""
    first, last = _statuses(facts.status)
    providers = list({facts.provider, canonical_provider(facts.provider)}) if facts.provider else None
    given = (facts.service, providers, facts.country, facts.device, first)
    return {
        "by_events": any(value is not None for value in given),
        "service": facts.service,
        "providers": providers,
        "country": facts.country.upper() if facts.country else None,
        "device": facts.device,
        "status_from": first,
        "status_to": last,
    }


def _statuses(status: str | None) -> tuple[int | None, int | None]:
    if status is None:
        return None, None
    return _ANY_STATUS.get(status) or (int(status), int(status))
