"""Burn order of grants, and the slices that pay an amount."""

from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from faregate.credit.ledger.states import GrantState

__all__ = ["burn", "burn_order"]

_NEVER = datetime.max.replace(tzinfo=UTC)


def burn_order(grants: Iterable[GrantState], *, now: datetime) -> list[GrantState]:
    """Return the grants that have credits left, in the order in which they are used.

    Expired grants come first (what an open hold still protects), then the lowest priority number, the earliest expiry
    (grants without expiry last), free grants before paid ones, the oldest, and the id.
    """
    live = [grant for grant in grants if grant.active and grant.remaining > 0]
    return live if len(live) < 2 else sorted(live, key=lambda grant: _rank(grant, now))


def burn(
    grants: Iterable[GrantState],
    amount: int,
    *,
    now: datetime,
    feature: str | None = None,
    general_limit: int | None = None,
) -> tuple[list[tuple[GrantState, int]], int]:
    """Allocate `amount` to grants without changing them.

    Args:
        feature: the feature that uses the credits. Grants restricted to other features are skipped, as is the part of a
            grant that open holds have set aside.
        general_limit: most credits to take from unrestricted grants together (the rest is held); None for no limit.

    Returns:
        The slices, as negative changes for `Book.post`, and the amount that no grant covers.
    """
    slices: list[tuple[GrantState, int]] = []
    left = amount
    general_left = amount if general_limit is None else max(0, general_limit)
    for grant in burn_order(grants, now=now):
        if left == 0:
            break
        if not grant.usable_for(feature):
            continue
        take = min(left, grant.remaining - grant.held)
        if grant.features is None:
            take = min(take, general_left)
            general_left -= take
        if take > 0:
            slices.append((grant, -take))
            left -= take
    return slices, left


def _rank(grant: GrantState, now: datetime) -> tuple[bool, int, datetime, int, datetime, UUID]:
    return (
        not grant.lapsed(now),
        grant.priority,
        grant.expires_at or _NEVER,
        grant.burn_class,
        grant.created_at,
        grant.grant_id,
    )
