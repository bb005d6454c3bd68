"""Use of features, from start to settlement: the public service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.errors import InvalidError
from faregate.core.redaction.scrubbing import clean_text
from faregate.credit.errors import HoldMismatchError, unknown_usage_key
from faregate.credit.services.credits import CreditService, HoldResult
from faregate.credit.values import Charge, CreditTransaction, charge_view
from faregate.usage.credits_process.process import CreditsProcess, DirectUse
from faregate.usage.credits_process.quoting import Quoter
from faregate.usage.credits_process.repository import UsageRepository
from faregate.usage.credits_process.start import HOLD_TTL_LIMIT_SECONDS, end_of_hold
from faregate.usage.credits_process.use_facts import NO_FACTS, UseFacts
from faregate.usage.values import (
    Accessible,
    FeatureRef,
    FeatureUsage,
    ModelUsage,
    Settled,
    SettleRequest,
    StartRequest,
    UsageLine,
    UseQuote,
)
from faregate.wire.credits import to_micros
from faregate.wire.ids import check_external_id, check_user_id, new_uuid7_text, organization_owner_id

__all__ = ["UsageService", "UsageStory"]


@dataclass(frozen=True, slots=True)
class UsageStory:
    """Everything that is known of one use."""

    user_id: str
    organization_id: str | None
    charge: Charge
    lines: tuple[UsageLine, ...]
    transactions: tuple[CreditTransaction, ...]


class UsageService:
    """Authorise, settle, void and record uses."""

    def __init__(
        self,
        database: Database,
        credit: CreditService,
        subjects: Subjects,
        process: CreditsProcess,
        repository: UsageRepository,
        quoter: Quoter,
    ) -> None:
        self._database = database
        self._credit = credit
        self._subjects = subjects
        self._process = process
        self._repository = repository
        self._quoter = quoter

    async def authorize(self, request: StartRequest) -> Accessible:
        """Open a hold; commits by itself, so that no wallet is locked while a model thinks.

        The same `usage_key` with the same meaning gives the same hold again.

        Raises:
            InvalidError: an id or an amount has the wrong form.
            UnknownFeatureError, FeatureInactiveError, FeatureNotAllowedError, UnpricedError: the feature says no.
            InsufficientCreditsError, WalletFrozenError, WalletClosedError: the wallet says no; nothing is stored, so
                that the same call may pass after a top-up.
            UsageKeyConflictError, AlreadySettledError, HoldClosedError: the key was used before.
        """
        _check_start(request)
        usage_key = new_uuid7_text() if request.usage_key is None else request.usage_key
        return await self._process.start(request, usage_key)

    async def quote(self, request: StartRequest, *, usages: Sequence[ModelUsage] = ()) -> UseQuote:
        """Return what a start of `request` would hold, and what `usages` would cost now; nothing is stored.

        Without `usages` the estimated usages are priced, and without those `usages` are also the estimate. Too few credits are
        no error here: the answer has `covered` False. Spending limits are not looked at.

        Raises:
            InvalidError, UnknownFeatureError, FeatureInactiveError, FeatureNotAllowedError, UnpricedError, WalletFrozenError,
                WalletClosedError, QuotaExceededError: the start would be refused.
        """
        _check_start(request)
        return await self._quoter.quote(request, tuple(usages))

    async def warm_up(self) -> None:
        """Load rules, prices and statements before the first settlement needs them; changes nothing.

        Raises:
            EngineUnavailableError: the database is away.
        """
        await self._process.warm_up()

    async def settle(self, request: SettleRequest) -> Settled:
        """Settle one use; see `settle_batch`. Raises what that returns as an outcome."""
        return await self._process.settle(request)

    async def settle_batch(self, requests: Sequence[SettleRequest]) -> list[Settled | Exception]:
        """Settle many uses in one transaction; each succeeds or is refused by itself, in order.

        Safe to repeat: the same key with the same meaning gives the first result again. An item that makes the whole
        batch fail is found by halving, and its failure is its outcome; the others settle.

        Raises:
            EngineUnavailableError: the database is away; nothing is known to be settled, repeat the call.
        """
        return await self._process.settle_batch(requests)

    async def void(self, usage_key: str, *, user_id: str, reason: str | None = None) -> HoldResult:
        """Close a hold unused. Voiding it again changes nothing.

        Raises:
            UnknownUsageKeyError, HoldMismatchError (another user's), AlreadySettledError, HoldClosedError (expired).
        """

        async def work(session: AsyncSession) -> HoldResult:
            await self._check_user(session, usage_key, user_id)
            return await self._credit.void(session, usage_key, reason=reason)

        return await self._database.run(work)

    async def extend(self, usage_key: str, *, user_id: str, ttl_seconds: int) -> datetime:
        """Let an open hold last at least `ttl_seconds` (1 … 86,400) from now; return when it ends.

        Raises:
            InvalidError, UnknownUsageKeyError, HoldMismatchError, AlreadySettledError, HoldClosedError.
        """
        _check_ttl(ttl_seconds)

        async def work(session: AsyncSession) -> datetime:
            await self._check_user(session, usage_key, user_id)
            held = await self._credit.extend(session, usage_key, ttl_seconds=ttl_seconds)
            return end_of_hold(held.charge)

        return await self._database.run(work)

    async def record_usage(
        self,
        feature_key: str,
        user_id: str,
        *,
        usage_key: str | None = None,
        organization_id: str | None = None,
        usages: Sequence[ModelUsage] = (),
        metadata: Mapping[str, Any] | None = None,
        spender: str | None = None,
        session: AsyncSession | None = None,
    ) -> FeatureUsage:
        """Use a feature and charge for it, in one call and one transaction.

        Concurrent calls share transactions, and each is charged in full or refused by itself. In the caller's `session`
        (READ COMMITTED) it commits and rolls back with the caller; the caller repeats the whole transaction after a
        deadlock and after `RetryTransactionError` (somebody else used the same key at the same time). The same
        `usage_key` again returns the first use.

        Raises:
            InsufficientCreditsError, WalletFrozenError, WalletClosedError and what the feature says: refused, nothing
                is written.
            UsageKeyConflictError: the key was used with another meaning.
        """
        request = SettleRequest(
            usage_key=_usage_key(usage_key),
            user_id=check_user_id(user_id),
            feature=FeatureRef(value=feature_key),
            usages=tuple(usages),
            organization_id=organization_id,
            metadata=metadata,
            spender=spender,
        )
        return await self._process.use(DirectUse(request), session)

    async def debit(
        self,
        owner_id: str,
        service: str,
        credits: Decimal,
        *,
        usage_key: str | None = None,
        organization_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        actor: str | None = None,
        reason: str | None = None,
        spender: str | None = None,
        session: AsyncSession | None = None,
    ) -> FeatureUsage:
        """Charge an amount for a `service`, which need be no feature; who pays is decided as for any use.

        In the caller's `session` as with `record_usage`. The same `usage_key` again returns the first debit. The
        transaction names `actor` (else the first key of `spender`, else the service) and `reason` (else the service).

        Raises:
            InvalidError: the amount is negative, finer than 0.000001 or too large.
            InsufficientCreditsError, WalletFrozenError, WalletClosedError: refused, nothing is written.
            UsageKeyConflictError: the key was used with another meaning.
        """
        if to_micros(credits) < 0:
            raise InvalidError("credits must not be negative", param="credits")
        request = SettleRequest(
            usage_key=_usage_key(usage_key),
            user_id=check_external_id(owner_id, param="owner_id"),
            feature=FeatureRef(value=check_external_id(service, param="service")),
            usages=(ModelUsage(None, quantity=credits, unit="credits"),),
            organization_id=organization_id,
            metadata=metadata,
            amount=credits,
            actor=service,
            reason=clean_text(reason or "").strip() or service,
            spender=spender,
        )
        return await self._process.use(DirectUse(request, actor or _asking(spender)), session)

    async def usages(
        self,
        *,
        user_id: str | None = None,
        organization_id: str | None = None,
        feature_key: str | None = None,
        model: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: tuple[datetime, str] | None = None,
        limit: int = 100,
        facts: UseFacts = NO_FACTS,
    ) -> list[FeatureUsage]:
        """Return finished uses, the one started last first; `since` is included, `until` is not.

        `model`: uses with a line of this model, also where a provider's name stands before it. `facts`: what the usage events
        of the uses must say, and when the uses were settled.
        """
        async with self._database.reading() as session:
            return await self._repository.usages(
                session,
                user_id=user_id,
                organization_owner=organization_owner_id(organization_id) if organization_id else None,
                feature_key=feature_key,
                model=model,
                since=since,
                until=until,
                before=before,
                limit=limit,
                facts=facts,
            )

    async def story(self, usage_key: str) -> UsageStory:
        """Return hold, outcome, lines and transactions of one use, or raise `UnknownUsageKeyError`."""
        async with self._database.transaction(read_only=True) as session:
            charge = await self._credit.get_charge(session, usage_key)
            names = [charge.subject_id, *([charge.organization_id] if charge.organization_id else [])]
            subjects = await self._subjects.named(session, names)
            lines = await self._repository.lines(session, [usage_key])
            transactions = await self._credit.transactions_of(session, charge)
        organization = subjects[charge.organization_id].external_id if charge.organization_id else None
        return UsageStory(
            user_id=subjects[charge.subject_id].external_id,
            organization_id=organization.removeprefix("org:") if organization else None,
            charge=charge_view(charge),
            lines=lines.get(usage_key, ()),
            transactions=tuple(transactions),
        )

    async def _check_user(self, session: AsyncSession, usage_key: str, user_id: str) -> None:
        started = (await self._credit.find_started(session, [usage_key])).get(usage_key)
        if started is None:
            raise unknown_usage_key(usage_key)
        if started.user_id != user_id:
            raise HoldMismatchError(usage_key, "user_id")


def _asking(spender: str | None) -> str | None:
    return next(iter((spender or "").split()), None)


def _check_start(request: StartRequest) -> None:
    check_user_id(request.user_id)
    if request.usage_key is not None:
        check_external_id(request.usage_key, param="usage_key")
    if request.organization_id is not None:
        check_external_id(request.organization_id, param="organization_id")
    if request.ttl_seconds is not None:
        _check_ttl(request.ttl_seconds)
    if request.estimated_credits is not None and to_micros(request.estimated_credits, param="estimated_credits") < 0:
        raise InvalidError("estimated_credits must not be negative", param="estimated_credits")


def _check_ttl(ttl_seconds: int) -> None:
    if not 1 <= ttl_seconds <= HOLD_TTL_LIMIT_SECONDS:
        raise InvalidError(f"ttl_seconds must be 1 to {HOLD_TTL_LIMIT_SECONDS}", param="ttl_seconds")


def _usage_key(given: str | None) -> str:
    return check_external_id(given, param="usage_key") if given is not None else new_uuid7_text()
