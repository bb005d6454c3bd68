"""Reader of the rules in force, from memory while they are fresh."""

from faregate.credit.services.credits import CreditService
from faregate.usage.credits_process.rulebook import Rulebook
from faregate.usage.features.catalog import FeatureCatalog
from faregate.usage.price_book.service import PriceService

__all__ = ["Rulebooks"]


class Rulebooks:
    """`IRulebooks` on the database; each of the three parts is kept by its version."""

    def __init__(self, catalog: FeatureCatalog, prices: PriceService, credit: CreditService) -> None:
        self._catalog = catalog
        self._prices = prices
        self._credit = credit

    async def current(self) -> Rulebook:
        """Return the rules, at most half a second old; call it before a transaction takes a connection."""
        prices = await self._prices.current()
        limit_kinds = await self._credit.limit_kinds()
        return Rulebook(await self._catalog.current(), prices, limit_kinds)
