"""How much a start sets aside. Pure."""

from decimal import Decimal

from faregate.usage.credits_process.charging import Charging
from faregate.usage.values import Feature, HoldSizing

__all__ = ["hold_for"]

_NOTHING = Decimal(0)


def hold_for(
    feature: Feature, charging: Charging, estimate: Decimal, wished: Decimal | None, *, history: Decimal | None = None
) -> Decimal:
    """Return the credits to set aside; nothing where nobody pays.

    The largest of minimum, size and the caller's wish, capped by the feature's hold limit. The size is the estimate, or
    what the feature's sizing says; `history` is its percentile, None while there is too little of it.
    """
    if not charging.rule.charges:
        return _NOTHING
    size = estimate
    if feature.hold_sizing is HoldSizing.FIXED and feature.hold_credits is not None:
        size = feature.hold_credits
    elif feature.hold_sizing is HoldSizing.PERCENTILE and history is not None:
        size = history
    hold = max(feature.min_credits, size, wished or _NOTHING)
    return min(hold, feature.hold_limit_credits) if feature.hold_limit_credits is not None else hold
