"""Rate cards as operators write them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

from faregate.core.errors import InvalidError
from faregate.wire.published_prices import compile_card, unit_registry
from faregate.wire.rates import Rate, RateCard

__all__ = ["card_of", "card_prices"]


def card_of(prices: Mapping[str, Any]) -> RateCard:
    """Return the card for prices as operators write them: USD, or `{"base": …, "tiers": [{"start": …, "price": …}]}`.

    Raises:
        InvalidError: a name is unknown, or a part has a price (cached input, say) and the whole has none.
    """
    from genai_prices.types import Tier, TieredPrices
    from genai_prices.validation import validate_model_price

    try:
        validate_model_price(set(prices), unit_registry())
    except ValueError as error:
        raise InvalidError(f"prices: {error}", param="prices") from None
    compiled: dict[str, Any] = {}
    for name, price in prices.items():
        if isinstance(price, Mapping):
            written = cast("Mapping[str, Any]", price)
            tiers = [Tier(int(tier["start"]), Decimal(tier["price"])) for tier in written["tiers"]]
            compiled[name] = TieredPrices(Decimal(written["base"]), tiers)
        else:
            compiled[name] = Decimal(price)
    return compile_card(compiled)


def card_prices(card: RateCard) -> dict[str, Any]:
    """Return a card as operators write it."""
    names = {unit.usage_key: unit.price_key for unit in unit_registry().units.values()}
    return {names[rate.count]: _written(rate) for rate in card.rates}


def _written(rate: Rate) -> Any:
    if not rate.tiers:
        return rate.price
    return {"base": rate.price, "tiers": [{"start": start, "price": price} for start, price in rate.tiers]}
