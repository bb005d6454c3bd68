"""What a translation costs: the bureau's own way of pricing, which Faregate does not know."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from faregate.core.errors import InvalidError
from faregate.usage import Price, Use

__all__ = ["PerPageStrategy"]


class PerPageStrategy:
    """Each page costs the feature's parameter `credits_per_page`; the bureau adds a surcharge for rare languages."""

    def __init__(self, rare_languages: frozenset[str], surcharge: Decimal) -> None:
        self._rare_languages = rare_languages
        self._surcharge = surcharge

    def check(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        credits = parameters.get("credits_per_page")
        if not isinstance(credits, int | Decimal) or credits < 0:
            raise InvalidError("credits_per_page must be a number, 0 or more", param="credits_per_page")
        return {"credits_per_page": Decimal(credits)}

    def estimate(self, use: Use) -> Price:
        return self.price(use)

    def price(self, use: Use) -> Price:
        pages = int(use.metadata.get("pages", 1))
        credits = pages * Decimal(use.feature.parameters["credits_per_page"])
        if use.metadata.get("language") in self._rare_languages:
            credits += self._surcharge
        return Price(credits)
