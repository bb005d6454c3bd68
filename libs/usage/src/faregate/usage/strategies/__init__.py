"""Built-in pricing strategies."""

from faregate.usage.strategies.fixed import FixedStrategy, GenerateQuestionPaperStrategy
from faregate.usage.strategies.free import FreeStrategy
from faregate.usage.strategies.per_unit import PerUnitStrategy
from faregate.usage.strategies.tiered import GraduatedStrategy, PackageStrategy, VolumeStrategy
from faregate.usage.strategies.token_priced import TokenPricedStrategy

__all__ = [
    "FixedStrategy",
    "FreeStrategy",
    "GenerateQuestionPaperStrategy",
    "GraduatedStrategy",
    "PackageStrategy",
    "PerUnitStrategy",
    "TokenPricedStrategy",
    "VolumeStrategy",
]
