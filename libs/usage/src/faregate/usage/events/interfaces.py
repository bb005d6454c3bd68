"""Interface between recorded usage events and the price list."""

from collections.abc import Iterable
from typing import Protocol

from faregate.usage.pricing.event_costs import EventCosts

__all__ = ["IEventPrices"]


class IEventPrices(Protocol):
    """The price list in force, for events that name a model but no cost."""

    async def costs(self, models: Iterable[str | None]) -> EventCosts:
        """Return what prices events that name `models`, at most half a second old; called before the transaction that
        records them.
        """
        ...
