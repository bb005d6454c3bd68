"""Models of lines: families, prices and spellings. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import TypeAlias

from faregate.analytics.insights.costs.hints import FindRates, band_limits
from faregate.analytics.insights.costs.model_family import family_of
from faregate.analytics.insights.costs.scenario import PricedModel, Proposal
from faregate.usage.pricing.line import PriceBook, Rates
from faregate.usage.pricing.linear_prices import linear_prices
from faregate.usage.pricing.rate_cards import card_of
from faregate.wire.model_names import canonical_model, canonical_provider

__all__ = ["Families", "families", "finder", "limits_of_bands", "priced_models", "spellings"]

Used: TypeAlias = Sequence[tuple[str, str | None, str | None]]
"""(model, provider, service tier) of lines."""

Families: TypeAlias = Mapping[tuple[str | None, str], Sequence[str]]
"""Models by provider and family."""


def finder(book: PriceBook) -> FindRates:
    """Return what finds rates in the price book."""

    def find(model: str, provider: str | None, service_tier: str | None, at: datetime) -> Rates | None:
        return book.rates(model, provider=provider, service_tier=service_tier, at=at)

    return find


def families(book: PriceBook, used: Used) -> Families:
    """Return the models with a price, of the families of the models that were used."""
    wanted = {(provider, family_of(model, provider)) for model, provider, _ in used}
    owners = {provider for provider, _ in wanted}
    known: list[tuple[str | None, str]] = [each for each in book.snapshot.models() if each[0] in owners]
    known += [(one.provider, one.model) for one in book.price_list.overrides if one.withdrawn_at is None]
    found: dict[tuple[str | None, str], dict[str, None]] = {}
    for provider, model in known:
        for owner in owners if provider is None else {provider}:
            key = (owner, family_of(model, owner))
            if key in wanted:
                found.setdefault(key, {})[canonical_model(model, owner)[0]] = None
    return {key: sorted(models) for key, models in found.items()}


def limits_of_bands(book: PriceBook, used: Used, family: Families, start: datetime, end: datetime) -> list[int]:
    """Return the sizes of input from which another price applies to any model of the families, on any day of the range."""
    first = start.date() - timedelta(days=1)  # a use that is settled in the range may have begun the day before
    days = [first + timedelta(days=number) for number in range((end.date() - first).days + 1)]
    found: list[Rates | None] = []
    for model, provider, tier in used:
        for name in (model, *family.get((provider, family_of(model, provider)), ())):
            moments = [datetime.combine(day, time(12), UTC) for day in days]
            found += [book.rates(name, provider=provider, service_tier=tier, at=moment) for moment in moments]
    return band_limits(found)


def priced_models(proposal: Proposal, used: Used) -> list[PricedModel]:
    """Return the proposed prices for each model and provider as lines spell them; the first price of a model counts."""
    prices = [(price, linear_prices(card_of(price.prices))) for price in proposal.prices]
    found: dict[tuple[str, str | None], PricedModel] = {}
    for model, provider, _ in used:
        for price, linear in prices:
            if _is_meant(price.model, price.provider, model, provider):
                found.setdefault((model, provider), PricedModel(model, provider, linear))
    return list(found.values())


def spellings(proposal: Proposal, used: Used) -> Mapping[str, Sequence[str]]:
    """Return how lines spell each model that a proposed margin names."""
    names = {margin.model for margin in proposal.margins if margin.model is not None}
    return {
        name: sorted({model for model, provider, _ in used if _is_meant(name, None, model, provider)}) for name in names
    }


def _is_meant(name: str, owner: str | None, model: str, provider: str | None) -> bool:
    if owner is not None and canonical_provider(owner) != canonical_provider(provider or ""):
        return False
    return canonical_model(name, owner)[0] == canonical_model(model, provider)[0]
