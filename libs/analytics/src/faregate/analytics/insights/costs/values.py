"""Values of cost insights: returns, lines of models, proposals."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal

__all__ = ["LineGroup", "LineSums", "ReturnBy", "ReturnSums"]

ReturnBy = Literal["feature", "plan", "user"]


@dataclass(frozen=True, slots=True)
class ReturnSums:
    """What the uses of one feature, plan or user brought and cost. Uses with an unpriced call are apart: their cost is unknown.

    Attributes:
        key: the feature or plan, or the number of the user; None for facts without one.
        unpriced_uses, unpriced_charged: uses with a call of unknown cost, and the credits charged for them.
        unpriced_cost_usd: the known part of their cost.
    """

    key: str | int | None
    uses: int
    consumed: Decimal
    charged: Decimal
    cost_usd: Decimal
    unpriced_uses: int
    unpriced_charged: Decimal
    unpriced_cost_usd: Decimal
    unpriced_tokens: int


@dataclass(frozen=True, slots=True)
class LineGroup:
    """Lines that are priced alike, apart from their day."""

    feature: str
    model: str
    provider: str | None
    service_tier: str | None


@dataclass(frozen=True, slots=True)
class LineSums:
    """The sums of one group on one day, for lines between two sizes of input at which prices change.

    Attributes:
        band: how many of these sizes the input reaches.
        cost_usd: what the lines cost, as it is stored.
        counts: tokens by count.
        prefix: 95 % of the lines have at least this many input tokens that are neither read from the cache nor written to it.
        windows: how many periods of five minutes have a line.
    """

    group: LineGroup
    day: date
    band: int
    lines: int
    cost_usd: Decimal
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    prefix: int = 0
    windows: int = 0
