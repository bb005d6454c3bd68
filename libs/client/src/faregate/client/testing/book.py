"""In-memory wallets and uses, by the rules of the credits process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from faregate.client.testing.pricing import FakePrice, is_inconsistent

__all__ = ["FLAGS", "FakeBook", "FakeUse", "RefusedError", "Status"]

Status = Literal["open", "settled", "voided", "expired"]

FLAGS = ("late", "no_hold", "over_hold", "shortfall", "unpriced", "keyless", "inconsistent")
"""The flags of a settlement, in the order of the answers."""

_NOTHING = Decimal(0)


class RefusedError(Exception):
    """A refusal with the status, code and facts of the gateway's error."""

    def __init__(self, status: int, code: str, detail: str, facts: Mapping[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.facts = status, code, detail, facts or {}


@dataclass
class FakeUse:
    """One use in the fake gateway.

    Attributes:
        charged: the credits that its user paid; `consumed` is its price, `shortfall` the part that could not be paid.
        started: the identity of its start request; None if it was never started.
        settled: the identity of its settlement request.
        answer: the answer to its settlement.
    """

    user_id: str
    feature: str
    usage_key: str
    hold: Decimal = _NOTHING
    status: Status = "open"
    usages: Sequence[Mapping[str, Any]] = ()
    charged: Decimal = _NOTHING
    metadata: Mapping[str, Any] | None = None
    reason: str | None = None
    consumed: Decimal = _NOTHING
    shortfall: Decimal = _NOTHING
    flags: Sequence[str] = ()
    organization_id: str | None = None
    expires_at: datetime | None = None
    started: object = None
    settled: object = None
    answer: Mapping[str, Any] = field(default_factory=dict[str, Any])


class FakeBook:
    """Uses by usage key, and the balance of each user's wallet.

    Args:
        balance: the initial balance of every user.
    """

    def __init__(self, balance: Decimal) -> None:
        self.balances: dict[str, Decimal] = {}
        self.uses: dict[str, FakeUse] = {}
        self._balance = balance

    def balance(self, user_id: str) -> Decimal:
        """Return a user's balance, held credits included."""
        return self.balances.get(user_id, self._balance)

    def free(self, user_id: str) -> Decimal:
        """Return a user's free credits: the balance without open holds."""
        return self.balance(user_id) - self.held(user_id)

    def held(self, user_id: str) -> Decimal:
        """Return the sum of a user's open holds."""
        held = (use.hold for use in self.uses.values() if use.user_id == user_id and use.status == "open")
        return sum(held, _NOTHING)

    def expire(self, moment: datetime) -> None:
        """Expire the holds whose time has passed."""
        for use in self.uses.values():
            if use.status == "open" and use.expires_at is not None and use.expires_at <= moment:
                use.status = "expired"

    def start(self, use: FakeUse) -> FakeUse:
        """Open the hold of a use, or return the use that the same request started before."""
        known = self.uses.get(use.usage_key)
        if known is not None:
            if known.started != use.started:
                raise RefusedError(409, "key_conflict", f"{use.usage_key!r} was used for another call; take a new one")
            _require_open(known)
            return known
        _require_free(self.free(use.user_id), use.hold)
        self.uses[use.usage_key] = use
        return use

    def find(self, usage_key: str, user_id: str) -> FakeUse:
        """Return a user's use by its key."""
        use = self.uses.get(usage_key)
        if use is None:
            raise RefusedError(404, "unknown_usage_key", f"No use is known by the key {usage_key!r}; start one first")
        _require_same(use, "user_id", use.user_id, user_id)
        return use

    def extend(self, use: FakeUse, now: datetime, ttl_seconds: int) -> datetime:
        """Extend an open hold; never shortens it."""
        _require_open(use)
        wanted = now + timedelta(seconds=ttl_seconds)
        use.expires_at = max(wanted, use.expires_at or wanted)
        return use.expires_at

    def void(self, use: FakeUse, reason: str | None) -> None:
        """Close a hold without a charge; voiding it again changes nothing."""
        if use.status == "voided":
            return
        _require_open(use)
        use.status, use.reason = "voided", reason

    def settled_before(self, use: FakeUse) -> FakeUse | None:
        """Return the use that was settled by the same request before; None if this is the first.

        Args:
            use: the settlement.
        """
        known = self.uses.get(use.usage_key)
        if known is None:
            return None
        _require_same(known, "user_id", known.user_id, use.user_id)
        _require_same(known, "feature", known.feature, use.feature)
        if known.status != "settled":
            return None
        if known.settled != use.settled:
            raise RefusedError(409, "key_conflict", f"{use.usage_key!r} is settled already, for other usage")
        return known

    def settle(self, use: FakeUse, price: FakePrice, *, recorded: bool, in_full: bool) -> FakeUse:
        """Charge `min(price, hold + free)`; the rest is shortfall.

        Args:
            recorded: only record the price; charge no wallet.
            in_full: refuse the settlement if there would be a shortfall.
        """
        known = self.uses.get(use.usage_key, use)
        chargeable = _NOTHING if recorded else price.credits
        open_hold = known.hold if known.started is not None and known.status == "open" else _NOTHING
        available = self.free(known.user_id) + open_hold
        if in_full:
            _require_free(available, chargeable)
        known.flags = _flags(known, chargeable, available, price, use.usages)
        known.status, known.settled, known.usages = "settled", use.settled, use.usages
        known.metadata = use.metadata if use.metadata is not None else known.metadata
        known.consumed, known.charged = price.credits, min(chargeable, max(_NOTHING, available))
        known.shortfall = chargeable - known.charged
        self.balances[known.user_id] = self.balance(known.user_id) - known.charged
        self.uses[known.usage_key] = known
        return known


def _require_free(free: Decimal, required: Decimal) -> None:
    if required > free:
        detail = f"Insufficient credits: {free} free, {required} needed; top up or ask for less"
        raise RefusedError(402, "insufficient_credits", detail, {"balance": free, "required": required})


def _require_open(use: FakeUse) -> None:
    if use.status == "settled":
        raise RefusedError(409, "already_settled", f"{use.usage_key!r} is settled already")
    if use.status != "open":
        raise RefusedError(409, "hold_closed", f"The hold of {use.usage_key!r} is {use.status}", {"status": use.status})


def _require_same(use: FakeUse, name: str, started: str, given: str) -> None:
    if started != given:
        detail = f"{name} is not the one that {use.usage_key!r} was started for"
        raise RefusedError(409, "hold_mismatch", detail, {"param": name})


def _flags(
    use: FakeUse, chargeable: Decimal, available: Decimal, price: FakePrice, usages: Sequence[Mapping[str, Any]]
) -> list[str]:
    unusual = {
        "late": use.status in {"voided", "expired"},
        "no_hold": use.started is None,
        "over_hold": use.started is not None and use.status == "open" and chargeable > use.hold,
        "shortfall": chargeable > max(_NOTHING, available),
        "unpriced": bool(price.unpriced),
        "inconsistent": any(map(is_inconsistent, usages)),
    }
    return [flag for flag in FLAGS if unusual.get(flag)]
