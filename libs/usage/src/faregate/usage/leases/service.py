"""Lease service: take a block, renew it, report uses, release it.

A lease is a hold. Each reported use is a settled use of its own, whose credits are drawn from that hold under the wallet's lock.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.errors import FaregateError, InvalidError
from faregate.core.runtime.failpoints import failpoint
from faregate.credit.errors import AlreadySettledError, HoldClosedError, HoldMismatchError, unknown_usage_key
from faregate.credit.ledger.settlement import ChargeOpening, PostingRequest
from faregate.credit.ledger.states import ChargeState, ChargeStatus
from faregate.credit.services.credits import CreditService, SettledCharge, StartedCharge
from faregate.usage.credits_process.request_hash import settle_meaning
from faregate.usage.credits_process.settled_events import SettledEvents
from faregate.usage.credits_process.start import end_of_hold
from faregate.usage.leases.values import LeaseReport, LeaseState, LeaseUse, ReportedUse
from faregate.usage.service import UsageService
from faregate.usage.values import ModelUsage, Rule, StartRequest
from faregate.wire.credits import to_credits, to_micros

__all__ = ["LeaseService"]


class LeaseService:
    """Blocks of credits whose uses clients decide by themselves and report in batches.

    Args:
        grace_seconds: how long after the end of a lease its uses can still be reported; they are then charged to the free
            credits and flagged `late`.
    """

    def __init__(
        self,
        database: Database,
        usage: UsageService,
        credit: CreditService,
        events: SettledEvents,
        clock: IClock,
        *,
        grace_seconds: int,
    ) -> None:
        self._database = database
        self._usage = usage
        self._credit = credit
        self._events = events
        self._clock = clock
        self._grace = timedelta(seconds=grace_seconds)

    async def take(self, request: StartRequest) -> LeaseState:
        """Take a block of `estimated_credits`; it is refused, not reduced, if the wallet has less free.

        The same `usage_key`, which is the id of the lease, with the same request returns the same lease.

        Raises: what `UsageService.authorize` raises.
        """
        started = await self._usage.authorize(request)
        return LeaseState(
            lease_id=started.usage_key,
            user_id=started.user_id,
            feature_key=started.feature_key,
            status="open",
            credits=started.hold,
            expires_at=started.expires_at,
            charging=started.charging,
        )

    async def get(self, lease_id: str) -> LeaseState:
        """Return a lease, or raise `UnknownUsageKeyError`."""
        async with self._database.transaction(read_only=True) as session:
            return _lease(await self._started(session, lease_id), now=self._clock.now())

    async def renew(self, lease_id: str, *, ttl_seconds: int, credits: Decimal | None = None) -> LeaseState:
        """Extend a lease, and top its block up to `credits` as far as free credits and spending limits allow.

        A block that holds more is not reduced. Repeating the call changes nothing but the expiry.

        Raises:
            UnknownUsageKeyError, AlreadySettledError, HoldClosedError: the lease has ended; take a new one.
            WalletFrozenError, WalletClosedError: the lease lives until its present expiry.
        """
        amount = to_micros(credits) if credits is not None else None

        async def work(session: AsyncSession) -> LeaseState:
            started = await self._started(session, lease_id)
            wanted = amount if Rule(started.charge.rule).charges else None
            held = await self._credit.renew(session, lease_id, ttl_seconds=ttl_seconds, amount=wanted)
            return _lease(started, charge=held.charge)

        return await self._database.run(work)

    async def report(self, lease_id: str, uses: Sequence[LeaseUse]) -> LeaseReport:
        """Charge each of these uses once, from the block.

        After the end of the lease they are charged to the free credits and flagged `late`. Each use succeeds or is refused
        independently; reporting it again returns its first outcome.

        Raises:
            UnknownUsageKeyError: no lease has this id.
            HoldClosedError: the lease ended longer ago than the grace period; nothing was charged.
        """
        await self._events.ready()

        async def work(session: AsyncSession) -> LeaseReport:
            report = await self._report(session, lease_id, uses)
            failpoint("written")
            return report

        report = await self._database.run(work)
        failpoint("committed")
        return report

    async def release(self, lease_id: str) -> LeaseState:
        """End a lease and return what its block still holds; for a lease that has ended this changes nothing.

        Raises:
            UnknownUsageKeyError, AlreadySettledError.
        """

        async def work(session: AsyncSession) -> LeaseState:
            started = await self._started(session, lease_id)
            try:
                voided = await self._credit.void(session, lease_id, reason="released")
            except AlreadySettledError:
                raise
            except HoldClosedError:
                return _lease(started, now=self._clock.now())
            return _lease(started, charge=voided.charge)

        return await self._database.run(work)

    async def _report(self, session: AsyncSession, lease_id: str, uses: Sequence[LeaseUse]) -> LeaseReport:
        known = await self._credit.find_started(session, {lease_id, *(use.usage_key for use in uses)})
        lease = known.get(lease_id)
        if lease is None:
            raise unknown_usage_key(lease_id)
        self._check_grace(lease.charge)
        prepared = [_prepared(lease, use, known.get(use.usage_key)) for use in uses]
        postings = [item for item in prepared if isinstance(item, PostingRequest)]
        posted = iter(await self._credit.post(session, postings))
        outcomes = [next(posted) if isinstance(item, PostingRequest) else item for item in prepared]
        await self._add_events(session, outcomes)
        after = await self._credit.get_charge(session, lease_id)
        reported = tuple(_reported(use, outcome) for use, outcome in zip(uses, outcomes, strict=True))
        return LeaseReport(_lease(lease, charge=after, now=self._clock.now()), reported)

    async def _add_events(self, session: AsyncSession, outcomes: Sequence[SettledCharge | FaregateError]) -> None:
        new = [item.charge for item in outcomes if isinstance(item, SettledCharge) and not item.replayed]
        await self._events.add(session, [(charge, ()) for charge in new])

    async def _started(self, session: AsyncSession, lease_id: str) -> StartedCharge:
        started = (await self._credit.find_started(session, [lease_id])).get(lease_id)
        if started is None:
            raise unknown_usage_key(lease_id)
        return started

    def _check_grace(self, charge: ChargeState) -> None:
        ended = min(filter(None, (charge.closed_at, charge.expires_at)), default=None)
        if ended is not None and ended + self._grace < self._clock.now():
            raise HoldClosedError(
                f"The lease {charge.usage_key!r} ended more than {self._grace.total_seconds():.0f} seconds ago; charge its "
                "unreported uses with POST /api/usage or an adjustment, or raise FAREGATE_LEASE_GRACE_SECONDS and report again",
                usage_key=charge.usage_key,
                status=charge.status.name.lower(),
            )


def _prepared(lease: StartedCharge, use: LeaseUse, known: StartedCharge | None) -> PostingRequest | FaregateError:
    charge = lease.charge
    if use.usage_key == charge.usage_key:
        return InvalidError("usage_key is the id of the lease; give each use a key of its own", param="usage_key")
    if known is not None and known.charge.subject_id != charge.subject_id:
        return HoldMismatchError(use.usage_key, "user_id")
    if known is not None and known.charge.feature_key != charge.feature_key:
        return HoldMismatchError(use.usage_key, "feature")
    consumed = to_micros(use.credits)
    payer = known.charge if known is not None else charge
    return PostingRequest(
        usage_key=use.usage_key,
        consumed=consumed,
        chargeable=consumed if Rule(payer.rule).charges else 0,
        meaning_hash=settle_meaning(
            user_id=lease.user_id,
            feature_key=charge.feature_key,
            usage_key=use.usage_key,
            usages=(ModelUsage(None, quantity=use.credits.normalize(), unit="credits"),),
        ),
        started_wallet_id=payer.wallet_id if known is not None else None,
        opening=_opening(charge),
        drawn_from=charge.usage_key,
        metadata={"lease": charge.usage_key},
    )


def _opening(lease: ChargeState) -> ChargeOpening:
    """The payer of the lease pays for its uses, whatever the membership of the user has become."""
    return ChargeOpening(
        wallet_id=lease.wallet_id,
        subject_id=lease.subject_id,
        organization_id=lease.organization_id,
        feature_key=lease.feature_key,
        rule=lease.rule,
        limit_scopes=lease.limit_scopes,
    )


def _reported(use: LeaseUse, outcome: SettledCharge | FaregateError) -> ReportedUse:
    if isinstance(outcome, FaregateError):
        return ReportedUse(use.usage_key, error=outcome)
    charge = outcome.charge
    return ReportedUse(
        use.usage_key, to_credits(charge.charged), to_credits(charge.shortfall), charge.flags, outcome.replayed
    )


def _lease(started: StartedCharge, *, charge: ChargeState | None = None, now: datetime | None = None) -> LeaseState:
    """Return a lease; one whose time has passed is expired, whether or not its wallet was brought up to date."""
    state = charge or started.charge
    expires_at = end_of_hold(state)
    is_over = state.status is ChargeStatus.OPEN and now is not None and expires_at <= now
    status = ChargeStatus.EXPIRED if is_over else state.status
    return LeaseState(
        lease_id=state.usage_key,
        user_id=started.user_id,
        feature_key=state.feature_key,
        status=status.name.lower(),
        credits=to_credits(state.hold if status is ChargeStatus.OPEN else 0),
        expires_at=expires_at,
        charging=Rule(state.rule),
    )
