"""Published prices of the providers, compiled to rate cards.

The data is the pinned version of genai-prices. A model is looked up once.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from typing import Any, Protocol

from faregate.wire.model_names import canonical_model, plain_model
from faregate.wire.rates import Cost, Rate, RateCard

__all__ = [
    "MODELS_REMEMBERED",
    "IMemory",
    "PriceSchedule",
    "PriceSnapshot",
    "Published",
    "compile_card",
    "published_cost",
    "unit_registry",
]

MODELS_REMEMBERED = 10_000
"""Maximum number of cached models; the names come from callers."""

_VENDORS = ("openai", "anthropic", "google", "mistral", "cohere", "voyageai")
_BILLED_SECONDS_MIN = {("groq", "whisper-large-v3"): 10, ("groq", "whisper-large-v3-turbo"): 10}
_BEDROCK = re.compile(r"(?:[a-z]{2,6}\.)?(?:amazon|anthropic|meta|mistral|cohere|ai21|deepseek|openai|qwen|writer)\.")


ModelKey = tuple[str, str | None, str | None]


@dataclass(frozen=True, slots=True)
class Published:
    """The rate card of a model at a point in time, with its provider."""

    provider: str
    model: str
    card: RateCard
    version: str


class IMemory(Protocol):
    """Cache of a snapshot's schedules, by model, provider and service tier."""

    def __getitem__(self, key: ModelKey, /) -> "PriceSchedule | None": ...

    def __setitem__(self, key: ModelKey, value: "PriceSchedule | None", /) -> None: ...

    def __len__(self) -> int: ...

    def clear(self) -> None: ...


class PriceSnapshot:
    """Finds published prices. genai-prices is loaded at the first call, not at import; nothing is downloaded.

    Args:
        memory: the cache; use one that is bounded in bytes if untrusted callers choose the model names.
    """

    def __init__(self, memory: IMemory | None = None) -> None:
        self._data: Any = None
        self._version = ""
        self._schedules: IMemory = {} if memory is None else memory

    def find(self, model: str, *, provider: str | None, service_tier: str | None, at: datetime) -> Published | None:
        """Return the prices of a model as of `at`, or None; without `provider` it is inferred from the model."""
        key = (model, provider, service_tier)
        try:
            schedule = self._schedules[key]
        except KeyError:
            schedule = self._remember(key)
        return schedule.at(at) if schedule is not None else None

    def models(self) -> Iterable[tuple[str, str]]:
        """Return (provider, model) of all published prices."""
        self._load()
        return [(provider.id, model.id) for provider in self._data.providers for model in provider.models]

    @property
    def version(self) -> str:
        """The version of the data, which is stored on each line."""
        self._load()
        return self._version

    def _remember(self, key: tuple[str, str | None, str | None]) -> "PriceSchedule | None":
        if len(self._schedules) >= MODELS_REMEMBERED:
            self._schedules.clear()
            self._data = None
        self._load()
        model, provider, service_tier = key
        found = _lookup(self._data, model, provider)
        schedule = PriceSchedule(*found, _context(service_tier), self._version) if found is not None else None
        self._schedules[key] = schedule
        return schedule

    def _load(self) -> None:
        if self._data is not None:
            return
        from genai_prices.data import providers
        from genai_prices.data_snapshot import DataSnapshot

        self._version = f"genai-prices {version('genai-prices')}"
        self._data = DataSnapshot(providers=providers, from_auto_update=False)


class PriceSchedule:
    """All prices of one model in one request context; a card is compiled at the first use of each set of conditions."""

    def __init__(self, provider: Any, model: Any, context: Mapping[str, str] | None, data_version: str) -> None:
        self._provider = provider
        self._model = model
        own = any(model is candidate for candidate in provider.models)
        self._context = context if own else None
        self._conditions = [item.constraint for item in _conditional(model) if item.constraint is not None]
        self._cards: dict[tuple[bool, ...], Published] = {}
        self._version = data_version

    def at(self, moment: datetime) -> Published:
        conditions = self._conditions
        state = tuple([condition.active(moment) for condition in conditions]) if conditions else ()
        found = self._cards.get(state)
        if found is None:
            prices = self._model.get_prices(moment.astimezone(UTC), self._context)
            named = {name: value for name, value in prices.__dict__.items() if value is not None}
            least = _BILLED_SECONDS_MIN.get((self._provider.id, self._model.id), 0)
            card = compile_card(named, seconds_min=least)
            found = self._cards[state] = Published(self._provider.id, self._model.id, card, self._version)
        return found


def published_cost(found: Published | None, counts: Mapping[str, int], *, by_parts: bool = False) -> Cost | None:
    """Return the cost of counts by published prices.

    Returns None without a usable price: the model is unknown, a count is not covered, or the cost is 0 although something
    was used.
    """
    cost = found.card.cost(counts, by_parts=by_parts) if found is not None else None
    return None if cost is None or (not cost.total and any(counts.values())) else cost


def compile_card(prices: Mapping[str, Any], *, seconds_min: int = 0) -> RateCard:
    """Return the rate card for prices by their genai-prices name (`input_mtok` …), each a Decimal or a `TieredPrices`."""
    registry = unit_registry()
    units = {name: registry.unit_for_price_key(name) for name in prices}
    names = sorted(prices, key=lambda name: (-len(units[name].dimensions), units[name].usage_key))
    positions = {name: n for n, name in enumerate(names)}
    rates = [_rate(units[name], prices[name], units, positions) for name in names]
    if seconds_min:
        rates = [replace(rate, minimum=seconds_min) if rate.count.endswith("seconds") else rate for rate in rates]
    covered = frozenset(
        key for key, unit in registry.units.items() if any(_is_part(priced, unit) for priced in units.values())
    )
    return RateCard(rates, covered=covered, order=[positions[name] for name in prices])


def _rate(unit: Any, price: Any, units: Mapping[str, Any], positions: Mapping[str, int]) -> Rate:
    parts = [positions[n] for n, other in units.items() if other is not unit and _is_part(unit, other)]
    priced = {other.usage_key for other in units.values()}
    includes = frozenset(k for k, u in unit_registry().units.items() if k not in priced and _is_part(unit, u))
    base = price if isinstance(price, Decimal) else price.base
    tiers = () if isinstance(price, Decimal) else tuple((tier.start, tier.price) for tier in price.tiers)
    return Rate(
        unit.usage_key, unit.dimensions.get("direction", ""), unit.per, base, tiers, tuple(sorted(parts)), includes
    )


def _is_part(whole: Any, part: Any) -> bool:
    return bool(whole.dimensions.items() <= part.dimensions.items())


def unit_registry() -> Any:
    """Return the registry of units of genai-prices."""
    from genai_prices.units import _get_registry  # pyright: ignore[reportPrivateUsage]

    return _get_registry()


def _conditional(model: Any) -> list[Any]:
    from genai_prices.types import ModelPrice

    dated: list[Any] = [] if isinstance(model.prices, ModelPrice) else list(model.prices)
    return [*dated, *(model.price_variants or ())]


def _context(service_tier: str | None) -> dict[str, str] | None:
    """Return the request context of genai-prices for a service tier; batch and fast modes have further keys."""
    if service_tier is None:
        return None
    tier = service_tier.lower()
    context = {"service_tier": tier}
    if tier == "batch":
        context["processing"] = "batch"
    if tier == "fast":
        context["speed"] = "fast"
    return context


def _lookup(data: Any, model: str, provider: str | None) -> tuple[Any, Any] | None:
    for name, owner in _spellings(model, provider):
        try:
            found: tuple[Any, Any] = data.find_provider_model(name, None, owner, None)
        except LookupError:
            continue
        return found
    return _by_exact_id(data, model) if provider is None else None


def _spellings(model: str, provider: str | None) -> Iterable[tuple[str, str | None]]:
    """Return the names to look a model up by: as given, then without the prefixes that gateways and frameworks add."""
    yield model, provider
    bare = plain_model(model)
    if bare != model:
        yield from _spellings(bare, provider)
    name = model.lower()
    if provider is not None:
        prefix, slash, rest = name.partition("/")
        if slash and prefix in provider.lower():
            yield rest, provider
        yield canonical_model(model, provider)
        return
    if "/" in name:
        yield name, "litellm"
    prefix, colon, rest = name.partition(":")
    if colon and prefix.replace("-", "").isalpha():
        yield rest, prefix
    if _BEDROCK.match(name):
        yield name, "aws"
    yield canonical_model(model)


def _by_exact_id(data: Any, model: str) -> tuple[Any, Any] | None:
    name = model.lower()
    for provider in data.providers:
        if provider.id in _VENDORS:
            for known in provider.models:
                if known.id == name:
                    return provider, known
    return None
