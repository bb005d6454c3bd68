"""Provider costs of usage events without one. Pure."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from faregate.usage.pricing.line import PriceBook, Rates
from faregate.usage.pricing.pico_usd import PICO, pico_usd
from faregate.wire.published_prices import MODELS_REMEMBERED
from faregate.wire.rates import RateCard

__all__ = ["EventCosts"]

_MILLION = 10**6


@dataclass(frozen=True, slots=True)
class _Linear:
    """A card without tiers, in 10⁻¹² USD: `fixed` for the call, and the price of a token; None where it has none."""

    fixed: int
    input: int | None
    output: int | None


class EventCosts:
    """Prices events from their input and output tokens, as of their time, by the price list in force; credits stay as
    they are given. Looks only into memory.
    """

    def __init__(self, book: PriceBook) -> None:
        self.book = book
        self._linear: dict[RateCard, _Linear | None] = {}

    def provider(self, model: str, at: datetime) -> str | None:
        """Return whose model it is, as far as its name tells."""
        rates = self.book.rates(model, provider=None, at=at)
        return rates.provider if rates is not None else None

    def cost(self, model: str, provider: str | None, input_tokens: int, output_tokens: int, at: datetime) -> int | None:
        """Return the cost in 10⁻¹² USD; None where nothing says what was used, or no price is known."""
        if not input_tokens and not output_tokens:
            return None
        rates = self.book.rates(model, provider=provider, at=at)
        if rates is None:
            return None
        linear = self._card(rates.card)
        if linear is None:
            return _priced(rates, input_tokens, output_tokens)
        read, written = linear.input, linear.output
        if (input_tokens and read is None) or (output_tokens and written is None):
            return None
        cost = linear.fixed + input_tokens * (read or 0) + output_tokens * (written or 0)
        return cost if cost or rates.zero_is_price else None

    def _card(self, card: RateCard) -> _Linear | None:
        if card not in self._linear:
            if len(self._linear) >= MODELS_REMEMBERED:
                self._linear.clear()
            self._linear[card] = _linear(card)
        return self._linear[card]


def _priced(rates: Rates, input_tokens: int, output_tokens: int) -> int | None:
    counts = {"input_tokens": input_tokens, "output_tokens": output_tokens}
    cost = rates.cost({name: count for name, count in counts.items() if count})
    return pico_usd(cost.total) if cost is not None else None


def _linear(card: RateCard) -> _Linear | None:
    """Return a card as three whole numbers; None if its prices have tiers, or are no whole numbers."""
    if any(rate.tiers for rate in card.rates):
        return None
    per_call = card.cost({})
    fixed = per_call.total if per_call is not None else Decimal(0)
    found: list[int | None] = []
    for count in ("input_tokens", "output_tokens"):
        cost = card.cost({count: _MILLION})
        each = (cost.total - fixed) * PICO / _MILLION if cost is not None else None
        if each is not None and each != int(each):
            return None
        found.append(int(each) if each is not None else None)
    whole = fixed * PICO
    return _Linear(int(whole), *found) if whole == int(whole) else None
