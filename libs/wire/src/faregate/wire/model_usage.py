"""Model usage: what one model did in one use of a feature."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

__all__ = ["ModelUsage"]


@dataclass(frozen=True, slots=True, init=False)
class ModelUsage:
    """What one model did in one use of a feature.

    The counts are given in one of two ways: as `tokens`, or as `input_tokens`, `output_tokens` and `more`.

    Attributes:
        model: as the provider names it; None for a part that no model did (`quantity` of some `unit`).
        provider: the provider; None if it is inferred from the model.
        tokens: counts by canonical name (`input_tokens` is the total, cached ones are part of it). Without any, nothing is
            known of the usage and the line has no price. `{"input_tokens": 0}` means that nothing was used.
        quantity: how many of `unit` were used, for a part that is not counted in tokens.
        service_tier: `flex`, `priority`, `batch`, … where prices differ by it.
        raw: the provider's own usage object, kept for audit.
        inconsistent: the counts contradict each other or the reported total; `raw` has them as reported.
        reported_cost_usd: the cost that the provider reported, at most 12 decimal places. The gateway keeps it on the line, and
            charges at least that where its operator allows it (`FAREGATE_USE_REPORTED_COST`).
        total_tokens: the total that the provider reported; the gateway compares it with `tokens`. If input and output are less,
            the gateway charges the difference as output; if they differ at all, it flags the use `inconsistent`.
    """

    model: str | None
    provider: str | None
    tokens: Mapping[str, int]
    quantity: Decimal | None
    unit: str | None
    service_tier: str | None
    raw: Any
    inconsistent: bool
    reported_cost_usd: Decimal | None
    total_tokens: int | None

    def __init__(
        self,
        model: str | None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        provider: str | None = None,
        service_tier: str | None = None,
        more: Mapping[str, int] | None = None,
        total_tokens: int | None = None,
        reported_cost_usd: Decimal | None = None,
        *,
        tokens: Mapping[str, int] | None = None,
        quantity: Decimal | None = None,
        unit: str | None = None,
        raw: Any = None,
        inconsistent: bool = False,
    ) -> None:
        """Create a line.

        Args:
            input_tokens: all input tokens; cached ones are part of it, and `more` says how many.
            output_tokens: all output tokens.
            more: further counts by canonical name (`cache_read_tokens`, `cache_write_tokens`, `output_reasoning_tokens`, …).
        """
        set_field = object.__setattr__
        set_field(self, "model", model)
        set_field(self, "provider", provider)
        set_field(self, "tokens", _counts(tokens, input_tokens, output_tokens, more))
        set_field(self, "quantity", quantity)
        set_field(self, "unit", unit)
        set_field(self, "service_tier", service_tier)
        set_field(self, "raw", raw)
        set_field(self, "inconsistent", inconsistent)
        set_field(self, "reported_cost_usd", reported_cost_usd)
        set_field(self, "total_tokens", total_tokens)

    def of_provider(self, provider: str | None) -> "ModelUsage":
        """Return the same usage with this provider."""
        return ModelUsage(
            self.model,
            provider=provider,
            service_tier=self.service_tier,
            total_tokens=self.total_tokens,
            reported_cost_usd=self.reported_cost_usd,
            tokens=self.tokens,
            quantity=self.quantity,
            unit=self.unit,
            raw=self.raw,
            inconsistent=self.inconsistent,
        )

    @property
    def input_tokens(self) -> int:
        """All input tokens; 0 if they are not known."""
        return self.tokens.get("input_tokens", 0)

    @property
    def output_tokens(self) -> int:
        """All output tokens; 0 if they are not known."""
        return self.tokens.get("output_tokens", 0)

    @property
    def more(self) -> Mapping[str, int]:
        """The counts other than the totals of input and output."""
        return {name: count for name, count in self.tokens.items() if name not in _TOTALS}


_TOTALS = frozenset({"input_tokens", "output_tokens"})


def _counts(
    tokens: Mapping[str, int] | None,
    input_tokens: int | None,
    output_tokens: int | None,
    more: Mapping[str, int] | None,
) -> Mapping[str, int]:
    if input_tokens is None and output_tokens is None and more is None:
        return {} if tokens is None else tokens
    given = {"input_tokens": input_tokens, "output_tokens": output_tokens}
    totals = {name: count for name, count in given.items() if count is not None}
    return {"input_tokens": 0, "output_tokens": 0, **(tokens or {}), **totals, **(more or {})}
