"""Price list in force, as the recorder of usage events needs it."""

from collections.abc import Iterable

from faregate.core.errors import InvalidError
from faregate.usage.events.event import EventFields
from faregate.usage.price_book.service import PriceService
from faregate.usage.pricing.event_costs import EventCosts
from faregate.usage.pricing.line import PriceBook

__all__ = ["EventPrices"]


class EventPrices:
    """Sees to it that events are priced by the price list in force.

    Attributes:
        costs: prices single events, by the list of the last `ready`.
    """

    def __init__(self, prices: PriceService, book: PriceBook) -> None:
        self._prices = prices
        self.costs = EventCosts(book)

    async def ready(self, events: Iterable[EventFields | InvalidError]) -> None:
        """Look up the price list if one of `events` needs it; call it before the transaction that records them."""
        if any(not isinstance(event, InvalidError) and event.get("model") is not None for event in events):
            await self._prices.refresh()
