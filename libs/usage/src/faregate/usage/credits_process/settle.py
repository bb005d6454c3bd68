"""Settlement: price of each use, and what becomes of its charge.

A batch at a time, in one transaction.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.clock import IClock
from faregate.core.db.subjects import Subject
from faregate.core.errors import FaregateError
from faregate.core.runtime.failpoints import failpoint
from faregate.credit.errors import HoldMismatchError, UsageKeyConflictError, unknown_usage_key
from faregate.credit.ledger.settlement import ChargeOpening, PostingRequest
from faregate.credit.ledger.states import NO_FLAGS, ChargeState, ChargeStatus, Flag
from faregate.credit.services.credits import CreditService, SettledCharge, StartedCharge
from faregate.usage.credits_process.charging import Charging, charging_for
from faregate.usage.credits_process.count_checks import check_counts
from faregate.usage.credits_process.repository import UsageRepository
from faregate.usage.credits_process.request_hash import has_same_price, settle_meaning
from faregate.usage.credits_process.rulebook import Rulebook
from faregate.usage.credits_process.settled_events import SettledEvents
from faregate.usage.credits_process.spending import scopes_of
from faregate.usage.credits_process.start import owners_of
from faregate.usage.features.catalog import Catalog, require_access
from faregate.usage.interfaces import IAccountDirectory, IQuotaGate, QuotaUse
from faregate.usage.strategies.registry import FeatureFactory
from faregate.usage.values import AccountFacts, Feature, Price, Rule, Settled, SettleRequest, UsageLine, Use
from faregate.wire.credits import to_credits, to_micros
from faregate.wire.ids import organization_id_of, organization_owner_id

__all__ = ["Settler"]


class _Settlement(NamedTuple):
    """One settlement on its way.

    Attributes:
        price: None where the charge is settled already: a repetition is not priced again.
        charge: what was started, or settled, for it.
        charging: who pays, where nothing was started.
    """

    request: SettleRequest
    feature: Feature
    price: Price | None
    charge: ChargeState | None
    charging: Charging | None

    @property
    def lines(self) -> tuple[UsageLine, ...]:
        return self.price.lines if self.price is not None else ()

    @property
    def consumed(self) -> int:
        """What the use costs, in micro-credits; of a repetition, what it did cost."""
        if self.price is not None:
            return to_micros(self.price.credits)
        return self.charge.consumed if self.charge is not None else 0


class Settler:
    """Prices uses and posts them; where there is a charge, it says who pays, never the body."""

    def __init__(
        self,
        credit: CreditService,
        directory: IAccountDirectory,
        factory: FeatureFactory,
        repository: UsageRepository,
        clock: IClock,
        quotas: IQuotaGate,
        events: SettledEvents,
        *,
        allow_unstarted: bool = True,
    ) -> None:
        self._credit = credit
        self._directory = directory
        self._factory = factory
        self._repository = repository
        self._clock = clock
        self._quotas = quotas
        self._events = events
        self._allow_unstarted = allow_unstarted

    async def run(
        self, session: AsyncSession, rules: Rulebook, requests: Sequence[SettleRequest], *, in_full: bool = False
    ) -> list[Settled | FaregateError]:
        """Answer each request by itself, in order.

        `in_full` is for direct uses, where nothing was consumed yet: they need the feature's permission, and are refused
        rather than fall short.
        """
        found = await self._credit.find_started(session, {request.usage_key for request in requests})
        started = [found.get(request.usage_key) for request in requests]
        facts = await self._facts(session, rules.catalog, list(zip(requests, started, strict=True)))
        prepared = [self._prepare(rules, *item, in_full=in_full) for item in zip(requests, started, facts, strict=True)]
        if in_full:
            prepared = await self._within_quota(session, prepared)
        settlements = [item for item in prepared if isinstance(item, _Settlement)]
        settled = iter(await self._post(session, rules, settlements, in_full=in_full) if settlements else [])
        return [next(settled) if isinstance(item, _Settlement) else item for item in prepared]

    async def warm_up(self, session: AsyncSession) -> None:
        """Run the statements of a settlement without any rows: they are prepared on this connection, and nothing changes."""
        await self._credit.warm_up(session)
        await self._repository.warm_up(session)
        await self._events.warm_up(session)

    async def _facts(
        self, session: AsyncSession, catalog: Catalog, uses: Sequence[tuple[SettleRequest, StartedCharge | None]]
    ) -> list[AccountFacts | None]:
        """Return what each settlement must know of its account, by position: one key may stand for two people here."""
        needed = [started is None or catalog.plans_change_prices for _, started in uses]
        accounts = [_account(*use) for use, need in zip(uses, needed, strict=True) if need]
        found = iter(await self._directory.facts(session, accounts) if accounts else [])
        return [next(found) if need else None for need in needed]

    def _prepare(
        self,
        rules: Rulebook,
        request: SettleRequest,
        started: StartedCharge | None,
        facts: AccountFacts | None,
        *,
        in_full: bool,
    ) -> _Settlement | FaregateError:
        try:
            if started is not None:
                return self._prepare_started(rules, request, started, facts)
            if facts is None:
                raise AssertionError(f"nothing is known of who would pay for {request.usage_key!r}")
            return self._prepare_unstarted(rules, request, facts, in_full=in_full)
        except FaregateError as refusal:
            return refusal

    def _prepare_started(
        self, rules: Rulebook, request: SettleRequest, started: StartedCharge, facts: AccountFacts | None
    ) -> _Settlement:
        catalog = rules.catalog
        charge = started.charge
        if started.user_id != request.user_id:
            raise HoldMismatchError(request.usage_key, "user_id")
        feature = _debited(request) or catalog.find_started(request.feature, charge.feature_key)
        if feature.key != charge.feature_key:
            raise HoldMismatchError(request.usage_key, "feature")
        if charge.status is ChargeStatus.SETTLED:
            return _Settlement(request, feature, None, charge, None)
        feature = catalog.on_plan(feature, facts.plan if facts else None)
        metadata = request.metadata or charge.metadata or {}
        use = Use(feature, charge.created_at, request.usages, metadata, prices=rules.prices)
        return _Settlement(request, feature, self._price(use, request), charge, None)

    def _prepare_unstarted(
        self, rules: Rulebook, request: SettleRequest, facts: AccountFacts, *, in_full: bool
    ) -> _Settlement:
        catalog = rules.catalog
        charging = charging_for(facts)
        feature = _debited(request) or catalog.on_plan(catalog.find(request.feature), facts.plan)
        if in_full:
            require_access(feature, facts, catalog.plan(facts.plan))
        elif not self._allow_unstarted:
            raise unknown_usage_key(request.usage_key)
        use = Use(feature, self._clock.now(), request.usages, request.metadata or {}, prices=rules.prices)
        return _Settlement(request, feature, self._price(use, request), None, charging)

    def _price(self, use: Use, request: SettleRequest) -> Price:
        if request.amount is not None:
            return Price(request.amount)
        check_counts(request.usages)
        return self._factory.strategy(use.feature.strategy).price(use)

    async def _within_quota(
        self, session: AsyncSession, prepared: Sequence[_Settlement | FaregateError]
    ) -> list[_Settlement | FaregateError]:
        """Refuse direct uses beyond a hard quota; what was started has passed it then."""
        new = [item for item in prepared if isinstance(item, _Settlement) and item.charging is not None]
        if not new:
            return list(prepared)
        refusals = iter(await self._quotas.check(session, [_quota_use(item) for item in new]))
        return [
            (next(refusals) or item) if isinstance(item, _Settlement) and item.charging is not None else item
            for item in prepared
        ]

    async def _post(
        self, session: AsyncSession, rules: Rulebook, settlements: Sequence[_Settlement], *, in_full: bool
    ) -> list[Settled | FaregateError]:
        failpoint("priced")
        seen = {item.charge.usage_key: item.charge for item in settlements if item.charge is not None}
        unstarted = [(item.request.user_id, item.charging) for item in settlements if item.charging is not None]
        owners = await self._credit.ensure_wallets(session, owners_of(unstarted))
        postings = [
            _posting(item, owners, rules.limited(_scopes(item, owners)), in_full=in_full) for item in settlements
        ]
        posted = await self._credit.post(session, postings, seen=seen)
        pairs = zip(settlements, posted, strict=True)
        new = [(p.charge, s.lines) for s, p in pairs if isinstance(p, SettledCharge) and not p.replayed]
        await self._repository.add_lines(session, [line for charge, lines in new for line in _numbered(lines, charge)])
        await self._events.add(session, new)
        replayed = {p.charge.usage_key for p in posted if isinstance(p, SettledCharge) and p.replayed}
        first_lines = await self._repository.lines(session, replayed) if replayed else {}
        return [
            self._answer(rules, item, outcome, first_lines) if isinstance(outcome, SettledCharge) else outcome
            for item, outcome in zip(settlements, posted, strict=True)
        ]

    def _answer(
        self,
        rules: Rulebook,
        item: _Settlement,
        posted: SettledCharge,
        first_lines: Mapping[str, tuple[UsageLine, ...]],
    ) -> Settled | FaregateError:
        if posted.replayed and not self._repeats(rules, item, posted.charge):
            return UsageKeyConflictError(item.request.usage_key, "is settled already, at the price of other metadata")
        return _settled(item, posted, first_lines)

    def _repeats(self, rules: Rulebook, item: _Settlement, charge: ChargeState) -> bool:
        """Tell whether a repeated settlement asks for the price of the first one; its lines are known to be the same."""
        request = item.request
        if request.amount is not None or (not request.metadata and charge.start_hash is not None):
            return True
        use = Use(item.feature, charge.created_at, request.usages, prices=rules.prices)
        price = self._factory.strategy(item.feature.strategy).price
        return has_same_price(price, use, first=charge.metadata, again=request.metadata)


def _account(request: SettleRequest, started: StartedCharge | None) -> tuple[str, str | None]:
    """Return user and organisation of a settlement: those of the charge where it was started, whatever the body names."""
    if started is not None:
        return started.user_id, organization_id_of(started.organization)
    return request.user_id, request.organization_id


def _debited(request: SettleRequest) -> Feature | None:
    """Return what stands for the feature in a plain debit: its service, open to everyone."""
    return Feature(key=request.feature.value or "", strategy="") if request.amount is not None else None


def _quota_use(item: _Settlement) -> QuotaUse:
    organization_id = item.charging.organization_id if item.charging else None
    request = item.request
    return QuotaUse(request.user_id, organization_id, item.feature.key, to_credits(item.consumed), request.usages)


def _scopes(item: _Settlement, owners: Mapping[str, Subject]) -> tuple[str, ...]:
    """Return the limits of a use that was never started; those of a started one were frozen on its charge."""
    if item.charging is None:
        return ()
    return scopes_of(item.request.user_id, item.charging, owners, spender=item.request.spender)


def _posting(
    item: _Settlement, owners: Mapping[str, Subject], limit_scopes: tuple[str, ...], *, in_full: bool
) -> PostingRequest:
    request, consumed = item.request, item.consumed
    rule = Rule(item.charge.rule) if item.charge else item.charging.rule if item.charging else Rule.RECORDED
    was_started = item.charge is not None and item.charge.start_hash is not None
    named = None if was_started else request.organization_id
    return PostingRequest(
        usage_key=request.usage_key,
        consumed=consumed,
        chargeable=consumed if rule.charges else 0,
        meaning_hash=_meaning(item, organization_id=named),
        earlier_hashes=(_meaning(item),) if named is not None else (),
        flags=_flags(item),
        started_wallet_id=item.charge.wallet_id if item.charge else None,
        opening=_opening(item, item.charging, owners, limit_scopes) if item.charging else None,
        in_full=in_full,
        duration_ms=request.duration_ms,
        metadata=request.metadata,
        actor=request.actor,
        reason=request.reason,
    )


def _meaning(item: _Settlement, *, organization_id: str | None = None) -> bytes:
    request = item.request
    return settle_meaning(
        user_id=request.user_id,
        feature_key=item.feature.key,
        usage_key=request.usage_key,
        usages=request.usages,
        organization_id=organization_id,
    )


def _flags(item: _Settlement) -> Flag:
    request, flags = item.request, NO_FLAGS
    if any(line.unpriced for line in item.lines):
        flags |= Flag.UNPRICED
    if request.keyless:
        flags |= Flag.KEYLESS
    if any(usage.inconsistent for usage in request.usages):
        flags |= Flag.INCONSISTENT
    return flags


def _opening(
    item: _Settlement, charging: Charging, owners: Mapping[str, Subject], limit_scopes: tuple[str, ...]
) -> ChargeOpening:
    named = charging.organization_id
    return ChargeOpening(
        wallet_id=owners[charging.payer_id].subject_id,
        subject_id=owners[item.request.user_id].subject_id,
        organization_id=owners[organization_owner_id(named)].subject_id if named else None,
        feature_key=item.feature.key,
        rule=charging.rule.value,
        limit_scopes=limit_scopes,
    )


def _numbered(lines: Sequence[UsageLine], charge: ChargeState) -> list[tuple[str, int, UsageLine, datetime]]:
    settled_at = charge.settled_at or charge.created_at
    return [(charge.usage_key, number, line, settled_at) for number, line in enumerate(lines)]


def _settled(item: _Settlement, posted: SettledCharge, first_lines: Mapping[str, tuple[UsageLine, ...]]) -> Settled:
    charge = posted.charge
    return Settled(
        usage_key=charge.usage_key,
        user_id=item.request.user_id,
        feature_key=charge.feature_key,
        consumed=to_credits(charge.consumed),
        charged=to_credits(charge.charged),
        shortfall=to_credits(charge.shortfall),
        flags=charge.flags,
        balance=to_credits(charge.balance_after or 0),
        free=to_credits(charge.free_after or 0),
        lines=first_lines.get(charge.usage_key, ()) if posted.replayed else item.lines,
        replayed=posted.replayed,
    )
