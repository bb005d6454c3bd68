"""Reader of the rules in force, from memory while they are fresh."""

from collections.abc import Iterable

from faregate.credit.services.credits import CreditService
from faregate.usage.credits_process.rulebook import Rulebook
from faregate.usage.features.catalog import FeatureCatalog
from faregate.usage.price_book.service import PriceService
from faregate.usage.values import FeatureRef

__all__ = ["Rulebooks"]


class Rulebooks:
    """`IRulebooks` on the database; each of the three parts is kept by its version."""

    def __init__(self, catalog: FeatureCatalog, prices: PriceService, credit: CreditService) -> None:
        self._catalog = catalog
        self._prices = prices
        self._credit = credit

    async def current(self, features: Iterable[FeatureRef]) -> Rulebook:
        """Return the rules, at most half a second old, or newer for a feature that they do not know."""
        catalog, prices = await self._catalog.current(), await self._prices.current()
        if not all(map(catalog.knows, features)):  # another process may just have defined it, with its prices
            catalog, prices = await self._catalog.newest(), await self._prices.newest()
        return Rulebook(catalog, prices, await self._credit.limit_kinds())
