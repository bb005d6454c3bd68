"""The same number of credits for each use."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from faregate.usage.strategies.parameters import Parameters, checked
from faregate.usage.values import Price, Use

__all__ = ["FixedStrategy", "GenerateQuestionPaperStrategy"]


class FixedParameters(Parameters):
    """`credits`: what one use costs."""

    credits: Annotated[Decimal, Field(ge=0, lt=10**9, decimal_places=6)]


class FixedStrategy:
    """Each use costs the feature's parameter `credits`."""

    def check(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        return checked(FixedParameters, parameters).model_dump()

    def estimate(self, use: Use) -> Price:
        return self.price(use)

    def price(self, use: Use) -> Price:
        return Price(Decimal(use.feature.parameters["credits"]))


class GenerateQuestionPaperStrategy:
    """A question paper costs 5 credits."""

    CREDITS = Decimal(5)

    def check(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        return checked(Parameters, parameters).model_dump()

    def estimate(self, use: Use) -> Price:
        return self.price(use)

    def price(self, use: Use) -> Price:  # noqa: ARG002  a fixed price looks at nothing
        return Price(self.CREDITS)
