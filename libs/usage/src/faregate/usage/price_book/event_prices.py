"""Price list in force, as the recorder of usage events needs it."""

from collections.abc import Iterable

from faregate.core.errors import InvalidError
from faregate.usage.events.event import EventFields
from faregate.usage.price_book.service import PriceService
from faregate.usage.pricing.event_costs import EventCosts

__all__ = ["EventPrices"]


class EventPrices:
    """`IEventPrices` on the price list of the deployment."""

    def __init__(self, prices: PriceService) -> None:
        self._prices = prices
        self._costs = EventCosts(prices.last)

    async def costs(self, events: Iterable[EventFields | InvalidError]) -> EventCosts:
        """Return what prices `events`; the price list is looked up if one of them names a model."""
        if any(not isinstance(event, InvalidError) and event.get("model") is not None for event in events):
            book = await self._prices.current()
            if self._costs.book is not book:
                self._costs = EventCosts(book)
        return self._costs
