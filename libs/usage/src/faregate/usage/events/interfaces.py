"""Interface between recorded usage events and the price list."""

from collections.abc import Iterable
from typing import Protocol

from faregate.core.errors import InvalidError
from faregate.usage.events.event import EventFields
from faregate.usage.pricing.event_costs import EventCosts

__all__ = ["IEventPrices"]


class IEventPrices(Protocol):
    """The current price list, for events that name a model but no cost.

    Attributes:
        costs: prices single events with the list that `ready` last loaded.
    """

    costs: EventCosts

    async def ready(self, events: Iterable[EventFields | InvalidError]) -> None:
        """Load the price list if one of `events` needs it; called before the transaction that records them."""
        ...
