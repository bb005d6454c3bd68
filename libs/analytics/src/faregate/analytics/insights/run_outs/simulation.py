"""Simulation of a wallet: use, renewals, expiries, top-ups and limits. Pure."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from faregate.analytics.insights.run_outs.values import Allowance, Drain, SpendCap, WalletOutlook
from faregate.analytics.question.calendar import next_period, period_at
from faregate.credit.ledger.recurrence import next_renewal

__all__ = ["drain"]

_SECOND = timedelta(seconds=1)
_UTC = ZoneInfo("UTC")
_MOST_TOP_UPS = 200


@dataclass(slots=True)
class _State:
    allowances: list[Allowance]
    other: Decimal
    """What is free besides the grants: the credit line, less what is held."""
    spent: dict[str, Decimal]
    empty_at: datetime | None = None
    refilled_at: datetime | None = None
    capped_at: datetime | None = None
    expiring: Decimal = Decimal(0)
    top_ups: list[datetime] = field(default_factory=list[datetime])

    def general(self) -> Decimal:
        """Return what every feature may use."""
        grants = (each.remaining for each in self.allowances if each.active and each.features is None)
        return sum(grants, Decimal(0)) + self.other

    def free(self) -> Decimal:
        """Return what is left for use, of all grants and of the credit line."""
        return sum((each.remaining for each in self.allowances if each.active), Decimal(0)) + self.other


def drain(
    wallet: WalletOutlook,
    use: Callable[[date], Mapping[str, Decimal]],
    *,
    now: datetime,
    days: int,
    zone: ZoneInfo,
) -> Drain:
    """Return what happens to a wallet in the next days.

    Within a day of `zone`, use is spread evenly. Grants are used in their order; what a hold sets aside is not used.

    Args:
        use: the credits by feature that are wanted on a day.
    """
    state = _state(wallet)
    start, end = now, period_at(now + timedelta(days=days), "day", zone)
    while start < end:
        _apply_time(state, start)
        day_start = period_at(start, "day", zone)
        day_end = next_period(day_start, "day", zone)
        until = min([day_end, *_moments(state, start), *_cap_ends(wallet.caps, start)])
        wanted = use(start.astimezone(zone).date())
        share = Decimal((until - start) // _SECOND) / Decimal((day_end - day_start) // _SECOND)
        _use(state, wallet, {feature: credits * share for feature, credits in wanted.items()}, start, until)
        _reset_caps(state, wallet.caps, until)
        start = until
    return Drain(state.empty_at, state.refilled_at, state.capped_at, state.expiring, tuple(state.top_ups))


def _state(wallet: WalletOutlook) -> _State:
    grants = sum((each.remaining for each in wallet.allowances if each.active), Decimal(0))
    loose = wallet.balance - grants  # below 0: used from the credit line
    return _State(
        sorted((copy(each) for each in wallet.allowances), key=lambda each: each.rank),
        loose + wallet.credit_line - wallet.held,
        {cap.period: cap.spent for cap in wallet.caps},
    )


def _moments(state: _State, after: datetime) -> list[datetime]:
    """Return when grants begin, renew and expire."""
    found: list[datetime | None] = []
    for each in state.allowances:
        found += [each.expires_at, each.next_at, None if each.active else each.effective_at]
    return [moment for moment in found if moment is not None and moment > after]


def _apply_time(state: _State, at: datetime) -> None:
    for each in state.allowances:
        if each.expires_at is not None and each.expires_at <= at:
            state.expiring += each.remaining if each.active else 0
            each.remaining, each.active, each.next_at, each.effective_at = Decimal(0), True, None, at
            continue
        if not each.active and each.effective_at <= at:
            each.active, each.remaining = True, each.amount
            _refilled(state, at)
        while each.every is not None and each.next_at is not None and each.next_at <= at:
            carried = min(max(each.remaining, each.rollover_min), each.rollover_max)
            state.expiring += max(each.remaining - carried, Decimal(0))
            each.remaining = each.amount + carried
            each.next_at = next_renewal(each.effective_at, each.every, after=each.next_at)
            _refilled(state, at)


def _refilled(state: _State, at: datetime) -> None:
    if state.empty_at is not None and state.refilled_at is None:
        state.refilled_at = at


def _use(state: _State, wallet: WalletOutlook, wanted: Mapping[str, Decimal], start: datetime, until: datetime) -> None:
    total = sum(wanted.values(), Decimal(0))
    if total <= 0:
        return
    allowed = _allowed(state, wallet.caps, total)
    if allowed < total and state.capped_at is None:
        state.capped_at = _within(start, until, allowed / total)
    paid = missing = Decimal(0)  # what is missing is not what was allowed less what was paid: shares are rounded
    for feature, credits in wanted.items():
        asked = credits * allowed / total
        given = _pay(state, wallet, feature, asked, start)
        paid, missing = paid + given, missing + asked - given
    for period in state.spent:
        state.spent[period] += paid
    if missing > 0 and state.empty_at is None:
        state.empty_at = _within(start, until, paid / total)


def _pay(state: _State, wallet: WalletOutlook, feature: str, credits: Decimal, at: datetime) -> Decimal:
    """Take credits from the grants that the feature may use, then from the credit line; return what was paid."""
    left = credits
    while True:
        for each in state.allowances:
            if each.active and (each.features is None or feature in each.features):
                open_to_all = left if each.features is not None else max(state.general(), Decimal(0))
                taken = min(left, each.remaining, open_to_all)
                each.remaining -= taken
                left -= taken
        taken = min(left, max(state.general(), Decimal(0)))
        state.other -= taken
        left -= taken
        if not _topped_up(state, wallet, at) or left <= 0:
            return credits - left


def _topped_up(state: _State, wallet: WalletOutlook, at: datetime) -> bool:
    if wallet.top_up is None or len(state.top_ups) >= _MOST_TOP_UPS:
        return False
    below, credits = wallet.top_up
    if credits <= 0 or state.free() + wallet.held - wallet.credit_line >= below:
        return False
    state.top_ups.append(at)
    state.other += credits
    return True


def _allowed(state: _State, caps: Sequence[SpendCap], total: Decimal) -> Decimal:
    left = (max(cap.limit - state.spent[cap.period], Decimal(0)) for cap in caps)
    return min([total, *left])


def _cap_ends(caps: Sequence[SpendCap], after: datetime) -> list[datetime]:
    return [_next_start(cap.period, after) for cap in caps if cap.period != "total"]


def _reset_caps(state: _State, caps: Sequence[SpendCap], at: datetime) -> None:
    for cap in caps:
        if cap.period != "total" and _next_start(cap.period, at - _SECOND) == at:
            state.spent[cap.period] = Decimal(0)


def _next_start(period: str, after: datetime) -> datetime:
    unit = {"day": "day", "week": "week"}.get(period, "month")
    start = period_at(after.astimezone(UTC), unit, _UTC)  # type: ignore[arg-type]
    return next_period(start, unit, _UTC)  # type: ignore[arg-type]


def _within(start: datetime, until: datetime, share: Decimal) -> datetime:
    return start + timedelta(seconds=int(Decimal((until - start) // _SECOND) * share))
