"""Start request: access, payer, amount of the hold.

A batch at a time, in one transaction.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.clock import IClock
from faregate.core.db.subjects import Subject, Subjects
from faregate.core.errors import FaregateError
from faregate.credit.errors import UsageKeyConflictError
from faregate.credit.ledger.holds import HoldRequest
from faregate.credit.ledger.states import ChargeState
from faregate.credit.services.credits import CreditService, HoldResult
from faregate.usage.credits_process.charging import Charging, charging_for
from faregate.usage.credits_process.count_checks import check_counts
from faregate.usage.credits_process.hold_sizing import hold_for
from faregate.usage.credits_process.request_hash import has_same_price, start_meaning
from faregate.usage.credits_process.rulebook import Rulebook
from faregate.usage.credits_process.spending import limits_passed, scopes_of
from faregate.usage.errors import UnpricedError
from faregate.usage.features.catalog import Catalog, require_access
from faregate.usage.interfaces import IAccountDirectory, IHoldHistory, IQuotaGate, QuotaUse
from faregate.usage.strategies.registry import FeatureFactory
from faregate.usage.values import Accessible, AccountFacts, Feature, Price, Rule, StartRequest, Use
from faregate.wire.credits import to_credits, to_micros
from faregate.wire.ids import organization_owner_id

__all__ = ["HOLD_TTL_LIMIT_SECONDS", "PreparedStart", "Starter", "end_of_hold", "owners_of"]

HOLD_TTL_LIMIT_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class PreparedStart:
    """One start on its way: everything but the wallet's consent."""

    request: StartRequest
    usage_key: str
    use: Use
    charging: Charging
    estimate: Price
    hold: Decimal

    @property
    def feature(self) -> Feature:
        return self.use.feature


class Starter:
    """Opens holds."""

    def __init__(
        self,
        credit: CreditService,
        subjects: Subjects,
        directory: IAccountDirectory,
        factory: FeatureFactory,
        clock: IClock,
        quotas: IQuotaGate,
        history: IHoldHistory,
        *,
        hold_ttl_seconds: int,
    ) -> None:
        self._credit = credit
        self._subjects = subjects
        self._directory = directory
        self._factory = factory
        self._clock = clock
        self._quotas = quotas
        self._history = history
        self._hold_ttl_seconds = hold_ttl_seconds

    async def run(
        self, session: AsyncSession, rules: Rulebook, requests: Sequence[tuple[StartRequest, str]]
    ) -> list[Accessible | FaregateError]:
        """Answer each (request, usage key) by itself, in order."""
        facts = await self._directory.facts(session, [(r.user_id, r.organization_id) for r, _ in requests])
        starts = await self._prepared(session, rules, requests, facts)
        ready = [start for start in starts if isinstance(start, PreparedStart)]
        known = {subject.external_id: subject for each in facts for subject in each.owners}
        opened = iter(await self._open(session, rules, ready, known) if ready else [])
        return [self._answer(start, next(opened)) if isinstance(start, PreparedStart) else start for start in starts]

    async def prepare(self, session: AsyncSession, rules: Rulebook, request: StartRequest) -> PreparedStart:
        """Return what a start would hold, and for whom; nothing is written.

        Raises:
            FaregateError: the start would be refused, by the feature, the organisation or a quota.
        """
        facts = await self._directory.facts(session, [(request.user_id, request.organization_id)])
        (prepared,) = await self._prepared(session, rules, [(request, "")], facts)
        if isinstance(prepared, FaregateError):
            raise prepared
        return prepared

    async def _prepared(
        self,
        session: AsyncSession,
        rules: Rulebook,
        requests: Sequence[tuple[StartRequest, str]],
        facts: Sequence[AccountFacts],
    ) -> list[PreparedStart | FaregateError]:
        past = await self._past(session, rules.catalog)
        now = self._clock.now()
        starts = [self._prepare(rules, *pair, known, now, past) for pair, known in zip(requests, facts, strict=True)]
        return await self._within_quota(session, starts)

    def _answer(self, start: PreparedStart, opened: HoldResult | FaregateError) -> Accessible | FaregateError:
        if isinstance(opened, FaregateError):
            return opened
        if not self._repeats(start, opened.charge):
            return UsageKeyConflictError(start.usage_key, "was started already, at the estimate of other metadata")
        return _accessible(start, opened)

    def _repeats(self, start: PreparedStart, charge: ChargeState) -> bool:
        """Tell whether a start that met an open hold asks for the estimate that the hold was opened for."""
        if charge.metadata == start.request.metadata:
            return True
        use = replace(start.use, at=charge.created_at, metadata={})
        estimate = self._factory.strategy(start.feature.strategy).estimate
        return has_same_price(estimate, use, first=charge.metadata, again=start.request.metadata)

    async def _past(self, session: AsyncSession, catalog: Catalog) -> Mapping[str, Decimal | None]:
        """Return what uses have cost, of those features whose holds are sized by it."""
        wanted = catalog.sized_by_history
        if not wanted:
            return {}
        found = await self._history.percentiles(session, wanted)
        return {key: credits for (key, _), credits in zip(wanted, found, strict=True)}

    def _prepare(
        self,
        rules: Rulebook,
        request: StartRequest,
        usage_key: str,
        facts: AccountFacts,
        now: datetime,
        past: Mapping[str, Decimal | None],
    ) -> PreparedStart | FaregateError:
        try:
            charging = charging_for(facts)
            feature = rules.catalog.on_plan(rules.catalog.find(request.feature), facts.plan)
            require_access(feature, facts, rules.catalog.plan(facts.plan))
            check_counts(request.estimated_usages)
            use = Use(feature, now, request.estimated_usages, request.metadata or {}, prices=rules.prices)
            estimate = self._factory.strategy(feature.strategy).estimate(use)
            if estimate.unpriced_models and feature.refuse_unpriced:
                raise UnpricedError(estimate.unpriced_models)
        except FaregateError as refusal:
            return refusal
        history = past.get(feature.key)
        hold = hold_for(feature, charging, estimate.credits, request.estimated_credits, history=history)
        return PreparedStart(request, usage_key, use, charging, estimate, hold)

    async def _within_quota(
        self, session: AsyncSession, starts: Sequence[PreparedStart | FaregateError]
    ) -> list[PreparedStart | FaregateError]:
        ready = [start for start in starts if isinstance(start, PreparedStart)]
        refusals = iter(await self._quotas.check(session, [_quota_use(start) for start in ready]) if ready else [])
        return [(next(refusals) or start) if isinstance(start, PreparedStart) else start for start in starts]

    async def _open(
        self, session: AsyncSession, rules: Rulebook, starts: Sequence[PreparedStart], known: Mapping[str, Subject]
    ) -> list[HoldResult | FaregateError]:
        wanted = owners_of((start.request.user_id, start.charging) for start in starts)
        owners = {**known, **await self._credit.ensure_wallets(session, wanted - known.keys())}
        for start in starts:
            if start.request.user_email:
                subject = owners[start.request.user_id]
                await self._subjects.remember_email(session, subject.subject_id, start.request.user_email)
        return await self._credit.authorize(session, [self._hold_request(rules, start, owners) for start in starts])

    def _hold_request(self, rules: Rulebook, start: PreparedStart, owners: Mapping[str, Subject]) -> HoldRequest:
        request, charging = start.request, start.charging
        scopes = scopes_of(request.user_id, charging, owners, spender=request.spender)
        organization = owners[organization_owner_id(charging.organization_id)] if charging.organization_id else None
        ttl = request.ttl_seconds or start.feature.hold_ttl_seconds or self._hold_ttl_seconds
        return HoldRequest(
            usage_key=start.usage_key,
            wallet_id=owners[charging.payer_id].subject_id,
            subject_id=owners[request.user_id].subject_id,
            organization_id=organization.subject_id if organization else None,
            feature_key=start.feature.key,
            rule=charging.rule.value,
            amount=to_micros(start.hold),
            ttl_seconds=min(ttl, HOLD_TTL_LIMIT_SECONDS),
            start_hash=start_meaning(request, feature_key=start.feature.key),
            metadata=request.metadata,
            limit_scopes=rules.limited(scopes),
            is_new=request.usage_key is None,
        )


def _quota_use(start: PreparedStart) -> QuotaUse:
    request, charging = start.request, start.charging
    expected = max(start.estimate.credits, request.estimated_credits or Decimal(0))
    return QuotaUse(
        request.user_id, charging.organization_id, start.feature.key, expected, tuple(request.estimated_usages)
    )


def owners_of(uses: Iterable[tuple[str, Charging]]) -> set[str]:
    """Return everyone who needs a subject and a wallet: users, payers, organisations."""
    owners: set[str] = set()
    for user_id, charging in uses:
        owners |= {user_id, charging.payer_id}
        if charging.organization_id:
            owners.add(organization_owner_id(charging.organization_id))
    return owners


def end_of_hold(charge: ChargeState) -> datetime:
    """Return when an open hold ends; each one does."""
    if charge.expires_at is None:
        raise AssertionError(f"the hold of {charge.usage_key!r} has no end")
    return charge.expires_at


def _accessible(start: PreparedStart, opened: HoldResult) -> Accessible:
    charge, wallet = opened.charge, opened.wallet
    return Accessible(
        user_id=start.request.user_id,
        usage_key=charge.usage_key,
        feature_key=charge.feature_key,
        free=to_credits(wallet.free),
        balance=to_credits(wallet.balance),
        held=to_credits(wallet.held),
        hold=to_credits(charge.hold),
        expires_at=end_of_hold(charge),
        charging=Rule(charge.rule),
        unpriced_models=tuple(start.estimate.unpriced_models),
        limits_passed=limits_passed(charge.warned),
        outage_limit_credits=start.feature.outage_debt_credits,
    )
