"""Values of forecasts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

__all__ = ["ForecastPoint", "ForecastTest", "ForecastUnit", "SeriesForecast"]

ForecastUnit = Literal["hour", "day", "week", "month"]


@dataclass(frozen=True, slots=True)
class ForecastPoint:
    """One future period: the expected amount, and the intervals that should hold it in 80 % and 95 % of cases."""

    period: datetime
    expected: Decimal
    low80: Decimal
    high80: Decimal
    low95: Decimal
    high95: Decimal


@dataclass(frozen=True, slots=True)
class ForecastTest:
    """The back-test of one method on the same series.

    Attributes:
        error: the mean absolute error of a period.
        ratio: that error divided by the error of the naive forecast; below 1 is better than it.
    """

    method: str
    error: Decimal
    ratio: Decimal | None


@dataclass(frozen=True, slots=True)
class SeriesForecast:
    """A forecast with its back-test.

    Attributes:
        tests: of all methods, the chosen one first.
        origins: how many past moments the back-test forecast from.
        coverage: the fraction of the back-test's values that 80 % intervals held; None with fewer than three origins.
    """

    points: Sequence[ForecastPoint]
    tests: Sequence[ForecastTest]
    origins: int
    coverage: Decimal | None
