"""Charge request: the use of a feature that is to be authorised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from faregate.client.values import ModelUsage

__all__ = ["ChargeRequest", "Estimate"]

Estimate = Decimal | int | Sequence[ModelUsage] | None
"""The expected cost in credits, or the expected usage of models."""


@dataclass(frozen=True, slots=True)
class ChargeRequest:
    """The use that is to be authorised."""

    feature: str
    user_id: str
    usage_key: str
    estimate: Estimate = None
    organization_id: str | None = None
    user_email: str | None = None
    ttl_seconds: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def estimated_usages(self) -> Sequence[ModelUsage]:
        """The estimate, if it is the usage of models; else empty."""
        return self.estimate if isinstance(self.estimate, Sequence) else ()

    @property
    def estimated_credits(self) -> Decimal | None:
        """The estimate, if it is in credits; else None."""
        return Decimal(self.estimate) if isinstance(self.estimate, Decimal | int) else None
