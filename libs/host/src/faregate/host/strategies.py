"""Registration of a host's strategies, as classes, objects or functions."""

import inspect
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, cast

from faregate.core.errors import ConfigurationError
from faregate.usage.interfaces import IFeatureStrategy
from faregate.usage.values import Price, Use

__all__ = ["FunctionStrategy", "PriceFunction", "strategy_of"]

PriceFunction = Callable[[Use], Decimal | int | Price]
"""Returns what one use costs: credits, or a `Price` with its lines."""


class FunctionStrategy:
    """A strategy made of one function, which gives the price of a use and the estimate of its hold. It has no parameters."""

    def __init__(self, function: PriceFunction) -> None:
        self._function = function

    def check(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the parameters as they are; the function reads them from `use.feature.parameters`."""
        return parameters

    def estimate(self, use: Use) -> Price:
        return self.price(use)

    def price(self, use: Use) -> Price:
        found = self._function(use)
        return found if isinstance(found, Price) else Price(Decimal(found))


def strategy_of(name: str, made: object) -> IFeatureStrategy:
    """Return a strategy object for what a host registers under `name`: an object, a class without arguments, or a function.

    Raises:
        ConfigurationError: it is none of these.
    """
    if inspect.isclass(made):
        made = _object(name, made)
    if isinstance(made, IFeatureStrategy):
        return made
    if callable(made):
        return FunctionStrategy(cast("PriceFunction", made))
    raise ConfigurationError(
        f"the strategy {name!r} is a {type(made).__name__}; register an object with `check`, `estimate` and `price`, its "
        "class, or a function of the use that returns credits"
    )


def _object(name: str, made: type) -> object:
    try:
        return made()
    except TypeError as error:
        raise ConfigurationError(
            f"the strategy {name!r} cannot be made: {error}; register an object: {{{name!r}: {made.__name__}(…)}}"
        ) from error
