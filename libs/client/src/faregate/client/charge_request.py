"""Charge request: the use of a feature that is to be authorised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

from faregate.client.values import ModelUsage
from faregate.wire.errors import InvalidError

__all__ = ["ChargeRequest", "Estimate"]

Estimate = Decimal | int | Sequence[ModelUsage] | None
"""The expected cost in credits, or the expected usage of models."""

_SHOWN = 40


@dataclass(frozen=True, slots=True)
class ChargeRequest:
    """The use that is to be authorised.

    Raises:
        InvalidError: the estimate is neither credits as a `Decimal` or whole number of at least 0, nor usage of models.
    """

    feature: str
    user_id: str
    usage_key: str
    estimate: Estimate = None
    organization_id: str | None = None
    user_email: str | None = None
    ttl_seconds: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        if not _is_estimate(self.estimate):
            raise InvalidError(
                f"estimate must be credits as a Decimal or a whole number of at least 0, or a list of ModelUsage, not "
                f"{str(self.estimate)[:_SHOWN]!r} ({type(self.estimate).__name__})",
                param="estimate",
            )

    @property
    def estimated_usages(self) -> Sequence[ModelUsage]:
        """The estimate, if it is the usage of models; else empty."""
        return self.estimate if isinstance(self.estimate, Sequence) else ()

    @property
    def estimated_credits(self) -> Decimal | None:
        """The estimate, if it is in credits; else None."""
        return Decimal(self.estimate) if isinstance(self.estimate, Decimal | int) else None


def _is_estimate(given: object) -> bool:
    if given is None:
        return True
    if isinstance(given, Decimal | int):
        return not isinstance(given, bool) and Decimal(given).is_finite() and given >= 0
    return isinstance(given, Sequence) and all(isinstance(line, ModelUsage) for line in cast("Sequence[object]", given))
