"""Interface between recorded usage events and the price list."""

from collections.abc import Iterable
from typing import Protocol

from faregate.core.errors import InvalidError
from faregate.usage.events.event import EventFields
from faregate.usage.pricing.event_costs import EventCosts

__all__ = ["IEventPrices"]


class IEventPrices(Protocol):
    """The price list in force, for events that name a model but no cost."""

    async def costs(self, events: Iterable[EventFields | InvalidError]) -> EventCosts:
        """Return what prices `events`, at most half a second old; called before the transaction that records them."""
        ...
