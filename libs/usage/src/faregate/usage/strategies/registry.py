"""Registry of strategies by name.

The library's own, and those that hosts register.
"""

from collections.abc import Mapping
from typing import cast

from faregate.usage.errors import StrategyRegistryError, UnknownStrategyError
from faregate.usage.interfaces import IFeatureStrategy

__all__ = ["FeatureFactory"]


class FeatureFactory:
    """The registry of strategies; `extra` wins over `built_in`.

    A strategy that a host registers is at the same time a feature of that name, until an operator defines one.

    Raises:
        StrategyRegistryError: something registered is no strategy; at start-up, by name.
    """

    def __init__(
        self,
        built_in: Mapping[str, IFeatureStrategy],
        extra: Mapping[str, IFeatureStrategy],
        *,
        features: frozenset[str],
    ) -> None:
        self._strategies = {**built_in, **extra}
        self.features = features | extra.keys()
        for name, strategy in self._strategies.items():
            if not isinstance(cast("object", strategy), IFeatureStrategy):
                raise StrategyRegistryError(name, strategy)

    def strategy(self, name: str) -> IFeatureStrategy:
        """Return the strategy of that name, or raise `UnknownStrategyError` listing the known ones."""
        found = self._strategies.get(name)
        if found is None:
            raise UnknownStrategyError(name, self._strategies)
        return found

    @property
    def names(self) -> list[str]:
        """The names of all strategies."""
        return sorted(self._strategies)
