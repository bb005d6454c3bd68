"""Costs of usage events as stored: whole 10⁻¹² USD."""

from decimal import ROUND_HALF_EVEN, Decimal

__all__ = ["PICO", "pico_usd"]

PICO = 10**12
"""Costs are stored in 10⁻¹² USD."""


def pico_usd(cost_usd: Decimal | None) -> int | None:
    """Return a cost in 10⁻¹² USD, rounded to the nearest; None stays None."""
    return None if cost_usd is None else int((cost_usd * PICO).to_integral_value(ROUND_HALF_EVEN))
