"""Rules in force for one batch of uses. Immutable."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from faregate.usage.features.catalog import Catalog
from faregate.usage.pricing.line import PriceBook
from faregate.usage.values import FeatureRef

__all__ = ["IRulebooks", "Rulebook"]


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Features and plans, prices, and the kinds of spending limits that are set at all (`user`, `member`, `key`)."""

    catalog: Catalog
    prices: PriceBook
    limit_kinds: frozenset[str]

    def limited(self, scopes: Sequence[str]) -> tuple[str, ...]:
        """Return those of `scopes` that may have a limit; the others are not looked up."""
        return tuple(scope for scope in scopes if scope.partition(":")[0] in self.limit_kinds)


class IRulebooks(Protocol):
    """Where the rules in force come from."""

    async def current(self, features: Iterable[FeatureRef]) -> Rulebook:
        """Return the rules, at most half a second old; call it before a transaction takes a connection.

        If one of `features` is unknown, they are read anew: what was just defined elsewhere is not refused.
        """
        ...
