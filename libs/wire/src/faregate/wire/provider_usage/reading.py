"""Reader of the usage in a provider's reply."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any, cast

from faregate.wire.provider_usage.counts import COUNT_LIMIT, Counts, Json, first, part
from faregate.wire.provider_usage.forms import Form, form_of
from faregate.wire.provider_usage.vercel import METADATA, metadata_counts

__all__ = ["Reading", "model_in", "read_usage", "searches_in", "tier_in"]

_NAME_LENGTH = 255
_MODEL = (
    *("model", "modelVersion", "model_version", "model_name", "gen_ai.response.model", "gen_ai.request.model"),
    *("llm.model_name", "modelId", "model_id"),
)
_PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "custom_llm_provider", "llm.provider")
_ROOTS = (
    *("totalUsage", "usage", "usageMetadata", "usage_metadata", "response_metadata", "message", "response", "meta"),
    "attributes",
)
_COST_PLACES = Decimal("1e-12")
_TICKS = 10**10
_USUAL_TIERS = frozenset({"auto", "default", "standard", ""})


@dataclass(frozen=True, slots=True)
class Reading:
    """The usage that a reply reports.

    Attributes:
        counts: by canonical name, without zeros; `input_tokens` and `output_tokens` are totals. Empty if all are 0.
        usage: the object that holds the counts, as received.
        service_tier: only if its price may differ from the standard one.
        contradicted_total: the reported total, if it differs from the sum of the counts read.
        missing_tokens: by how much that total exceeds the counts read; `counts` includes them as output.
        reported_cost_usd: the cost that the provider reported, rounded up to at most 12 places.
    """

    counts: Mapping[str, int]
    usage: Json
    model: str | None = None
    provider: str | None = None
    service_tier: str | None = None
    contradicted_total: int | None = None
    missing_tokens: int = 0
    reported_cost_usd: Decimal | None = None

    @property
    def inconsistent(self) -> bool:
        """Whether the reported total differs from the sum of the counts read."""
        return self.contradicted_total is not None


def read_usage(body: Json) -> Reading | None:
    """Return the usage in a reply, or in the usage object itself; None if it holds no known usage format.

    Raises:
        UnreadableUsageError: the format is known, but one of its counts is not a whole number from 0 to 10⁹.
    """
    found = _find(body)
    if found is None:
        return None
    form, usage = found
    metadata = metadata_counts(body)
    if metadata:
        usage = {**usage, METADATA: metadata}
    counts = Counts()
    form.read(usage, counts)
    if not counts.reported:
        return None
    if not counts.get("web_searches"):
        counts.add("web_searches", searches_in(body))
    return Reading(
        counts.values,
        usage,
        model_in(body),
        _text(body, *_PROVIDER),
        tier_in(body) or tier_in(usage),
        counts.contradicted,
        counts.missing,
        _cost(body, usage),
    )


def searches_in(body: Json) -> int:
    """Return the number of web searches in a complete response of OpenAI; opening or searching a page does not count."""
    value: Any = first(body, "output") or part(body, "response").get("output")
    items = cast("list[Any]", value) if isinstance(value, list) else []
    calls = [cast("Json", item) for item in items if isinstance(item, Mapping)]
    return sum(call.get("type") == "web_search_call" and _is_search(part(call, "action")) for call in calls)


def _is_search(action: Json) -> bool:
    return bool(action.get("type", "search") == "search")


def _cost(body: Json, usage: Json) -> Decimal | None:
    """Return the cost reported by OpenRouter, LiteLLM, Perplexity or xAI."""
    nested = part(usage, "cost").get("total_cost")
    cost = nested if nested is not None else first({**usage, **part(body, "_hidden_params")}, "cost", "response_cost")
    if cost is None:
        cost = body.get("response_cost")
    ticks = usage.get("cost_in_usd_ticks")
    if cost is None and isinstance(ticks, int):
        cost = Decimal(ticks) / _TICKS
    if isinstance(cost, bool) or not isinstance(cost, int | float | Decimal) or not 0 < cost < COUNT_LIMIT:
        return None
    return Decimal(str(cost)).quantize(_COST_PLACES, ROUND_CEILING)


def model_in(body: Json) -> str | None:
    """Return the model named in a reply."""
    return _text(body, *_MODEL)


def tier_in(body: Json) -> str | None:
    """Return the service tier named in a reply, if its price may differ from the standard one."""
    tier = first(body, "service_tier", "speed", "serviceTier")
    tier = part(body, "serviceTier").get("type") if isinstance(tier, Mapping) else tier
    return tier if _is_name(tier) and tier not in _USUAL_TIERS else None


def _find(body: Json) -> tuple[Form, Json] | None:
    """Return the usage object and its format: the body itself, or one of its parts."""
    form = form_of(body)
    if form is not None:
        return form, body
    parts = (body.get(root) for root in _ROOTS)
    found = (_find(cast("Json", value)) for value in parts if isinstance(value, Mapping))
    return next((usage for usage in found if usage is not None), None)


def _text(body: Json, *names: str) -> str | None:
    values = (source.get(name) for source in _sources(body) for name in names)
    return next((value for value in values if _is_name(value)), None)


def _sources(body: Json) -> Iterator[Json]:
    yield body
    for name in ("response_metadata", "message", "response"):
        yield part(body, name)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _NAME_LENGTH
