"""Registration of a host's strategies, as classes, objects or functions."""

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any, cast

from faregate.core.errors import ConfigurationError
from faregate.usage.interfaces import IFeatureStrategy
from faregate.usage.strategies import BUILT_IN_STRATEGIES
from faregate.usage.values import Price, Use, chargeable

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
        return found if isinstance(found, Price) else Price(chargeable(found))


def strategy_of(name: str, made: object) -> IFeatureStrategy:
    """Return a strategy object for what a host registers under `name`: an object, a class without arguments, or a function.

    Raises:
        ConfigurationError: it is none of these, or the name is that of a strategy of Faregate.
    """
    if name in BUILT_IN_STRATEGIES:
        raise ConfigurationError(
            f"{name!r} is a strategy of Faregate, and features that name it would be priced by yours; choose another name"
        )
    if inspect.isclass(made):
        made = _object(name, made)
    if isinstance(made, IFeatureStrategy):
        return made
    if callable(made):
        _check_function(name, made)
        return FunctionStrategy(cast("PriceFunction", made))
    raise ConfigurationError(
        f"the strategy {name!r} is a {type(made).__name__}; register an object with `check`, `estimate` and `price`, its "
        "class, or a function of the use that returns credits"
    )


def _check_function(name: str, made: Callable[..., object]) -> None:
    if inspect.iscoroutinefunction(made):
        raise ConfigurationError(f"the strategy {name!r} is async; a price is computed without waiting: use `def`")
    with suppress(ValueError):  # some built-in functions tell no signature
        signature = inspect.signature(made)
        try:
            signature.bind(None)
        except TypeError as error:
            raise ConfigurationError(
                f"the strategy {name!r} must be a function of one argument, the use ({error})"
            ) from error


def _object(name: str, made: type) -> object:
    try:
        return made()
    except TypeError as error:
        raise ConfigurationError(
            f"the strategy {name!r} cannot be made: {error}; register an object: {{{name!r}: {made.__name__}(…)}}"
        ) from error
