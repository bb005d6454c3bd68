"""Built-in pricing strategies."""

from collections.abc import Mapping

from faregate.usage.interfaces import IFeatureStrategy
from faregate.usage.strategies.fixed import FixedStrategy, GenerateQuestionPaperStrategy
from faregate.usage.strategies.free import FreeStrategy
from faregate.usage.strategies.per_unit import PerUnitStrategy
from faregate.usage.strategies.tiered import GraduatedStrategy, PackageStrategy, VolumeStrategy
from faregate.usage.strategies.token_priced import TokenPricedStrategy
from faregate.usage.values import FeatureKey

__all__ = [
    "BUILT_IN_STRATEGIES",
    "FixedStrategy",
    "FreeStrategy",
    "GenerateQuestionPaperStrategy",
    "GraduatedStrategy",
    "PackageStrategy",
    "PerUnitStrategy",
    "TokenPricedStrategy",
    "VolumeStrategy",
]

BUILT_IN_STRATEGIES: Mapping[str, type[IFeatureStrategy]] = {
    "fixed": FixedStrategy,
    "free": FreeStrategy,
    "graduated": GraduatedStrategy,
    "package": PackageStrategy,
    "per_unit": PerUnitStrategy,
    "token_priced": TokenPricedStrategy,
    "volume": VolumeStrategy,
    FeatureKey.GENERATE_QUESTION_PAPER.value: GenerateQuestionPaperStrategy,
}
"""The strategies that come with the library, by name."""
