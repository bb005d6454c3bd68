"""MatchingTerms of a comparison: tolerance, and meaning of model names. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

__all__ = ["MatchingTerms"]


@dataclass(frozen=True, slots=True)
class MatchingTerms:
    """What counts as equal, and which names mean the same model.

    Attributes:
        model_of: the model that a name means, whatever its spelling, given its provider.
        has_price: whether a model of that meaning has a price here.
        tolerance_usd: how far two costs of a request, or of a model and day, may be apart.
        late_days: how many days apart a use may stand on both sides and still be the same.
    """

    model_of: Callable[[str, str | None], str]
    has_price: Callable[[str], bool]
    tolerance_usd: Decimal = Decimal(0)
    late_days: int = 2
