"""Checks of the counts and amounts that an importing host passes."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from faregate.core.errors import InvalidError
from faregate.usage.values import ModelUsage
from faregate.wire.count_names import COUNT_NAMES, EVERY_COUNT, unknown_name
from faregate.wire.provider_usage import COUNT_LIMIT

__all__ = ["check_counts"]


def check_counts(usages: Sequence[ModelUsage]) -> None:
    """Refuse counts and amounts that no price can be found for.

    Raises:
        InvalidError: a name is unknown, a count is no whole number from 0 to 10⁹, or a quantity or reported cost no
            number from 0 to 10⁹.
    """
    for usage in usages:
        for name, amount in (("quantity", usage.quantity), ("reported_cost_usd", usage.reported_cost_usd)):
            if amount is not None and not _is_amount(amount):
                raise InvalidError(f"{name} must be a Decimal or int from 0 to 10⁹", param=name)
        if not usage.tokens.keys() <= EVERY_COUNT:
            name = min(usage.tokens.keys() - EVERY_COUNT, key=str)
            raise InvalidError(f"in tokens, {unknown_name(name, COUNT_NAMES)}", param=f"tokens.{name}")
        for name, count in usage.tokens.items():
            if not _is_count(count):
                raise InvalidError(f"tokens.{name} must be a whole number from 0 to 10⁹", param=f"tokens.{name}")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= COUNT_LIMIT


def _is_amount(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return False
    return Decimal(value).is_finite() and 0 <= value < COUNT_LIMIT
