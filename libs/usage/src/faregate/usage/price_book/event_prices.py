"""Price list in force, as the recorder of usage events needs it."""

from collections.abc import Iterable

from faregate.usage.price_book.service import PriceService
from faregate.usage.pricing.event_costs import EventCosts

__all__ = ["EventPrices"]


class EventPrices:
    """`IEventPrices` on the price list of the deployment."""

    def __init__(self, prices: PriceService) -> None:
        self._prices = prices
        self._costs = EventCosts(prices.last)

    async def costs(self, models: Iterable[str | None]) -> EventCosts:
        """Return what prices events that name `models`; the price list is looked up if there is one."""
        if any(models):
            book = await self._prices.current()
            if self._costs.book is not book:
                self._costs = EventCosts(book)
        return self._costs
