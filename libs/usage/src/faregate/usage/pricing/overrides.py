"""Price overrides with their dates, and margins. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from faregate.wire.model_names import canonical_model, canonical_provider
from faregate.wire.rates import RateCard

__all__ = ["Margins", "Override", "PriceList"]


@dataclass(frozen=True, slots=True)
class Margins:
    """Margins in percent by model and by provider; an explicit 0 counts."""

    models: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    providers: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])

    _canonical: Mapping[tuple[str, str | None], Decimal] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        named = {canonical_model(name): percent for name, percent in self.models.items()}
        owners = {("", canonical_provider(name)): percent for name, percent in self.providers.items()}
        object.__setattr__(self, "_canonical", {**named, **owners})

    def find(self, model: str | None, provider: str | None) -> Decimal | None:
        """Return the model's margin, else the provider's; as it is spelled, or else as the same model is."""
        found = self.models.get(model.lower()) if model else None
        if found is not None or not self._canonical:
            return found
        name, owner = canonical_model(model or "", provider)
        keys = ((name, owner), (name, None), ("", owner))
        return next((self._canonical[key] for key in keys if key[0] or key[1] if key in self._canonical), None)


@dataclass(frozen=True, slots=True)
class Override:
    """Prices of one model that replace the published ones from `effective_from` to `effective_to` (excluded).

    Attributes:
        number: counts overrides; the newest one in force wins.
        provider, service_tier: None for any; one that names them wins over one that does not.
        prices: by their genai-prices name (`input_mtok` …): USD, or `{"base": …, "tiers": [{"start": …, "price": …}]}`.
    """

    number: int
    model: str
    provider: str | None
    service_tier: str | None
    effective_from: datetime
    effective_to: datetime | None
    prices: Mapping[str, Any]
    card: RateCard = field(repr=False, compare=False)
    actor: str | None = None
    note: str | None = None
    created_at: datetime | None = None
    withdrawn_at: datetime | None = None

    @property
    def version(self) -> str:
        """How the lines that it has priced name it."""
        return f"override {self.number}"

    def in_force(self, at: datetime) -> bool:
        """Tell whether it counts at that moment."""
        if self.withdrawn_at is not None or at < self.effective_from:
            return False
        return self.effective_to is None or at < self.effective_to


class PriceList:
    """Overrides and margins at one moment of editing."""

    def __init__(self, overrides: Iterable[Override] = (), margins: Margins | None = None) -> None:
        self.margins = margins or Margins()
        self.overrides = tuple(overrides)
        self._by_model: dict[str, list[Override]] = {}
        self._by_name: dict[str, list[Override]] = {}
        for override in self.overrides:
            if override.withdrawn_at is None:
                self._by_model.setdefault(override.model, []).append(override)
                self._by_name.setdefault(canonical_model(override.model)[0], []).append(override)

    def override(self, model: str, *, provider: str | None, service_tier: str | None, at: datetime) -> Override | None:
        """Return the override in force; `provider` is the one named or inferred."""
        if not self._by_model:
            return None
        owner, tier = (provider or "").lower(), (service_tier or "").lower()
        exactly = [item for item in self._by_model.get(model.lower(), ()) if item.provider in {None, owner}]
        found = _best(exactly, tier, at)
        if found is not None:
            return found
        name, meant = canonical_model(model, provider)
        return _best([item for item in self._by_name.get(name, ()) if _owner_of(item) in {None, meant}], tier, at)


def _owner_of(override: Override) -> str | None:
    """Return whose prices an override replaces: the provider that it names, else the one in the model's name."""
    return canonical_model(override.model, override.provider)[1]


def _best(overrides: Iterable[Override], tier: str, at: datetime) -> Override | None:
    fitting = [item for item in overrides if item.in_force(at) and item.service_tier in {None, tier}]
    return max(fitting, key=_precedence, default=None)


def _precedence(override: Override) -> tuple[bool, bool, int]:
    return override.provider is not None, override.service_tier is not None, override.number
