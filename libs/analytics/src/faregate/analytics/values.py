"""Values of analytics answers.

Amounts are exact; latencies are in milliseconds; rates are 0 … 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

__all__ = ["Breakdown", "Freshness", "Measures", "Point", "TopUser", "UsageMetrics"]

_CREDIT = Decimal("0.000001")
_PICO = Decimal("0.000000000001")


@dataclass(frozen=True, slots=True)
class Measures:
    """Sums over facts; everything else is derived from them. Credits are micro-credits, cost is in 10⁻¹² USD.

    `facts` counts all facts, `quantity` adds up the quantities of meters (only meaningful for one meter). `requests`
    counts uses, or calls of models if the question is about models; errors and latencies refer to the same. `unpriced`
    counts the calls of models whose cost is unknown, which is not part of `cost`.
    """

    facts: int = 0
    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    credits: int = 0
    charged: int = 0
    cost: int = 0
    latency_sum: int = 0
    latency_count: int = 0
    unpriced: int = 0
    quantity: Decimal = Decimal(0)

    def __add__(self, other: "Measures") -> "Measures":
        return Measures(*(getattr(self, name) + getattr(other, name) for name in _NAMES))

    def __sub__(self, other: "Measures") -> "Measures":
        return Measures(*(getattr(self, name) - getattr(other, name) for name in _NAMES))

    @classmethod
    def of(cls, values: Sequence[Any]) -> "Measures":
        """Return the sums in the order of the fields."""
        return cls(*values)

    @property
    def empty(self) -> bool:
        """Whether no valid fact is left after corrections."""
        return self.facts == 0

    @property
    def tokens(self) -> int:
        """Input and output tokens."""
        return self.input_tokens + self.output_tokens

    @property
    def total_credits(self) -> Decimal:
        """The credits of the use, whether they were charged or not."""
        return (self.credits * _CREDIT).quantize(_CREDIT)

    @property
    def charged_credits(self) -> Decimal:
        """The credits that were charged."""
        return (self.charged * _CREDIT).quantize(_CREDIT)

    @property
    def cost_usd(self) -> Decimal:
        """The provider cost, in USD."""
        return self.cost * _PICO

    @property
    def average_latency_ms(self) -> Decimal | None:
        """The mean latency, to the microsecond; None without timed requests."""
        return _ratio(self.latency_sum, self.latency_count, "0.001")

    @property
    def error_rate(self) -> Decimal | None:
        """The fraction of requests that failed; None without requests."""
        return _ratio(self.errors, self.requests, "0.000001")

    @property
    def cost_per_request_usd(self) -> Decimal | None:
        """Provider cost divided by requests; None without requests."""
        return _ratio(self.cost, self.requests * 10**12, "0.000000000001")

    def margin_credits(self, credit_price_usd: Decimal) -> Decimal:
        """Charged credits less the provider cost at the price of a credit, to the micro-credit."""
        return (self.charged_credits - self.cost_usd / credit_price_usd).quantize(_CREDIT)


_NAMES = tuple(field.name for field in fields(Measures))


def _ratio(part: int, whole: int, quantum: str) -> Decimal | None:
    return (Decimal(part) / Decimal(whole)).quantize(Decimal(quantum)) if whole else None


@dataclass(frozen=True, slots=True)
class UsageMetrics:
    """The totals of a question. Percentiles are of the requests that were timed."""

    measures: Measures
    unique_users: int
    p50_ms: Decimal | None
    p95_ms: Decimal | None
    p99_ms: Decimal | None


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The sums of one value (a service, a model, …); `value` is None for facts without one."""

    value: str | None
    measures: Measures
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """One period of a series."""

    period: datetime
    measures: Measures
    unique_users: int


@dataclass(frozen=True, slots=True)
class TopUser:
    """The usage of one user."""

    user_id: str
    email: str | None
    measures: Measures
    last_activity: datetime


@dataclass(frozen=True, slots=True)
class Freshness:
    """How new an answer is: it includes all facts until now, less `lag_seconds` at most, which is 0 unless a replica answered.
    Sums were last updated at `rolled_up_at`; later facts are added.
    """

    rolled_up_at: datetime | None
    lag_seconds: Decimal = Decimal(0)
