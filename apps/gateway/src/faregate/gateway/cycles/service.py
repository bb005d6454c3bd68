"""Operations of the Cycles protocol, on the credits process.

A reservation is a use, and its id a usage key that follows from the payer and the idempotency key: a repetition finds what the
first call has made, without a store of answers. `POST /v1/events` is a debit or a settlement without a start.
"""

import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.errors import FaregateError
from faregate.credit.errors import InsufficientCreditsError, UnknownWalletError
from faregate.credit.services.credits import CreditService
from faregate.credit.values import Wallet
from faregate.gateway.cycles.amounts import Unit, amount_of, credits_of
from faregate.gateway.cycles.bodies import (
    CyclesCommitBody,
    CyclesCreateBody,
    CyclesDecideBody,
    CyclesEventBody,
    CyclesExtendBody,
    CyclesReleaseBody,
    OveragePolicy,
    SubjectBody,
)
from faregate.gateway.cycles.errors import CyclesError, translated
from faregate.gateway.cycles.reservations import (
    Reservation,
    commit_record,
    create_record,
    digest_of,
    event_record,
    hold_seconds,
    identity_of,
    milliseconds,
    not_found,
)
from faregate.gateway.security.auth import Principal
from faregate.gateway.security.key_caps import spender_of
from faregate.usage.accounts.wallets import WalletService
from faregate.usage.features.catalog import FeatureCatalog
from faregate.usage.service import UsageService
from faregate.usage.values import FeatureRef, ModelUsage, SettleRequest, StartRequest
from faregate.wire import exact_json
from faregate.wire.credits import to_credits
from faregate.wire.errors import HoldClosedError, KeyConflictError

__all__ = ["CyclesService"]

_FALLBACK_FEATURE = "cycles"
_EXTEND_LIMIT_SECONDS = 86_400
_RELEASED = "cycles release"


class CyclesService:
    """Reserve, commit, release, extend, decide, events and balances.

    Args:
        credit_price_usd: converts amounts in money to credits.
    """

    def __init__(
        self,
        database: Database,
        usage: UsageService,
        credit: CreditService,
        wallets: WalletService,
        catalog: FeatureCatalog,
        clock: IClock,
        *,
        credit_price_usd: Decimal,
    ) -> None:
        self._database = database
        self._usage = usage
        self._credit = credit
        self._wallets = wallets
        self._catalog = catalog
        self._clock = clock
        self._price = credit_price_usd

    async def create(self, principal: Principal, body: CyclesCreateBody) -> Mapping[str, Any]:
        """Reserve the estimate, or evaluate that for a dry run."""
        if body.dry_run:
            decision = await self.decide(principal, body)
            reserved = {"reserved": body.estimate.model_dump(mode="json")} if decision["decision"] == "ALLOW" else {}
            return {**decision, "scope_path": body.subject.scopes[-1], **reserved}
        reservation_id = identity_of(_user_of(body.subject), "reservations", body.idempotency_key)
        request = await self._start_request(principal, body, reservation_id)
        with suppress(HoldClosedError, KeyConflictError):  # a known key: the reservation may be closed, or another one
            await self._usage.authorize(request)
        reservation = await self._find(reservation_id)
        if reservation.record["request"] != digest_of(body):
            raise CyclesError(
                409, "IDEMPOTENCY_MISMATCH", "idempotency_key was used for another reservation; take a new key"
            )
        return _created(reservation)

    async def commit(self, reservation_id: str, body: CyclesCommitBody) -> Mapping[str, Any]:
        """Charge what was used; also after the reservation has expired, which is flagged `late` and needs no event."""
        reservation = await self._find(reservation_id)
        if body.actual.unit is not reservation.unit:
            raise CyclesError(
                400,
                "UNIT_MISMATCH",
                f"actual is in {body.actual.unit.value}, but the reservation in {reservation.unit.value}",
                {"requested_unit": body.actual.unit.value, "expected_units": [reservation.unit.value]},
            )
        if reservation.status == "RELEASED":
            raise CyclesError(409, "RESERVATION_FINALIZED", f"{reservation_id!r} is released")
        if reservation.status != "COMMITTED":
            await self._settle(reservation, body)
            reservation = await self._find(reservation_id)
        _check_same_commit(reservation, body)
        return _commit_answer(reservation, self._price)

    async def release(self, reservation_id: str, body: CyclesReleaseBody) -> Mapping[str, Any]:
        """Return the whole reservation."""
        reservation = await self._find(reservation_id)
        mark = f"{_RELEASED} {digest_of(body.idempotency_key)}"
        if reservation.status in {"COMMITTED", "EXPIRED"}:
            raise _ended(reservation)
        reason = f"{mark}: {body.reason}" if body.reason else mark
        await self._usage.void(reservation_id, user_id=reservation.user_id, reason=reason)
        closed = (await self._find(reservation_id)).charge.close_reason
        if closed is not None and closed.partition(":")[0] != mark:
            raise CyclesError(409, "RESERVATION_FINALIZED", f"{reservation_id!r} is released by another request")
        return {"status": "RELEASED", "released": reservation.reserved}

    async def extend(self, reservation_id: str, body: CyclesExtendBody) -> Mapping[str, Any]:
        """Move the expiry by `extend_by_ms`, at most to a day from now."""
        reservation = await self._find(reservation_id)
        left_ms = reservation.expires_at_ms - milliseconds(reservation.now)
        if reservation.status != "ACTIVE" or left_ms < 0:
            raise _ended(reservation)
        wanted = math.ceil((left_ms + body.extend_by_ms + reservation.slack_ms) / 1000)
        ends = await self._usage.extend(
            reservation_id, user_id=reservation.user_id, ttl_seconds=min(wanted, _EXTEND_LIMIT_SECONDS)
        )
        return {"status": "ACTIVE", "expires_at_ms": milliseconds(ends - timedelta(milliseconds=reservation.slack_ms))}

    async def remaining_ms(self, reservation_id: str, extended: Mapping[str, Any]) -> int:
        """Return how long a reservation lives from now by the expiry that an extension has told."""
        return (await self._find(reservation_id)).remaining_ms(int(extended["expires_at_ms"]))

    async def get(self, reservation_id: str) -> Mapping[str, Any]:
        """Return a reservation; an expired one is 410, as the protocol says."""
        reservation = await self._find(reservation_id)
        if reservation.status == "EXPIRED":
            raise _ended(reservation)
        return self._detail(reservation)

    async def find(self, subject: SubjectBody, idempotency_key: str) -> Mapping[str, Any]:
        """Return the list of the one reservation that an idempotency key has created, to recover its id."""
        try:
            found = await self._find(identity_of(_user_of(subject), "reservations", idempotency_key))
        except CyclesError as missing:
            if missing.status == 404:
                return {"reservations": [], "has_more": False}
            raise
        summary = {name: value for name, value in self._detail(found).items() if name not in _DETAILS}
        return {"reservations": [summary], "has_more": False}

    async def decide(self, principal: Principal, body: CyclesDecideBody) -> Mapping[str, Any]:
        """Tell whether a reservation would succeed now; nothing is held."""
        request = await self._start_request(principal, body, None)
        scopes = {"affected_scopes": body.subject.scopes}
        try:
            quote = await self._usage.quote(request)
        except FaregateError as refusal:
            told = translated(refusal)
            if told.status == 409:
                return {"decision": "DENY", "reason_code": told.code, **scopes}
            raise
        if not quote.covered:
            return {"decision": "DENY", "reason_code": "BUDGET_EXCEEDED", **scopes}
        return {"decision": "ALLOW", **scopes}

    async def apply(self, principal: Principal, body: CyclesEventBody) -> Mapping[str, Any]:
        """Charge what was used without a reservation."""
        user_id, credits = _user_of(body.subject), self._credits(body.actual.unit, body.actual.amount)
        event_id = identity_of(user_id, "events", body.idempotency_key)
        feature, record = await self._feature(body.action.kind), event_record(body)
        spender = None if principal.user_id else (spender_of(principal.line) or principal.id)
        if body.overage_policy is OveragePolicy.ALLOW_IF_AVAILABLE:
            request = SettleRequest(
                event_id,
                user_id,
                FeatureRef(value=feature),
                (ModelUsage(None, quantity=credits, unit="credits"),),
                organization_id=_organization_of(body.subject),
                metadata=record,
                amount=credits,
                spender=spender,
            )
            await self._usage.settle(request)
        else:
            await self._debit(body.overage_policy, user_id, feature, credits, event_id, record, body.subject, spender)
        event = await self._find(event_id)
        if event.record["request"] != digest_of(body):
            raise CyclesError(409, "IDEMPOTENCY_MISMATCH", "idempotency_key was used for another event; take a new key")
        charged = amount_of(event.unit, to_credits(event.charge.charged), credit_price_usd=self._price)
        shown = charged if event.charge.shortfall else {"unit": event.unit.value, "amount": event.record["amount"]}
        return {"status": "APPLIED", "event_id": event_id, "charged": shown}

    async def balances(self, subject: SubjectBody) -> Mapping[str, Any]:
        """Return the wallet of a subject in both units; an owner without a wallet has no balance."""
        try:
            wallet, _ = await self._wallets.get(_user_of(subject))
        except UnknownWalletError:
            return {"balances": [], "has_more": False}
        return {"balances": [self._balance(wallet, subject, unit) for unit in _UNITS], "has_more": False}

    async def _settle(self, reservation: Reservation, body: CyclesCommitBody) -> None:
        charge, credits = reservation.charge, self._credits(body.actual.unit, body.actual.amount)
        record = commit_record(reservation.record, body)
        if reservation.policy is OveragePolicy.REJECT and body.actual.amount > reservation.record["amount"]:
            raise CyclesError(
                409, "BUDGET_EXCEEDED", "actual is more than is reserved, which overage_policy REJECT refuses"
            )
        if reservation.policy is OveragePolicy.ALLOW_WITH_OVERDRAFT:
            await self._debit(
                reservation.policy, reservation.user_id, charge.feature_key, credits, charge.usage_key, record
            )
            return
        request = SettleRequest(
            charge.usage_key,
            reservation.user_id,
            FeatureRef(value=charge.feature_key),
            (ModelUsage(None, quantity=credits, unit="credits"),),
            duration_ms=body.metrics.latency_ms if body.metrics else None,
            metadata=record,
            amount=credits,
        )
        try:
            await self._usage.settle(request)
        except KeyConflictError:
            return  # committed meanwhile with another amount: the caller compares

    async def _debit(
        self,
        policy: OveragePolicy,
        user_id: str,
        feature: str,
        credits: Decimal,
        key: str,
        record: Mapping[str, Any],
        subject: SubjectBody | None = None,
        spender: str | None = None,
    ) -> None:
        """Charge in full or refuse; what the wallet's credit limit pays is the protocol's debt."""
        try:
            await self._usage.debit(
                user_id,
                feature,
                credits,
                usage_key=key,
                organization_id=_organization_of(subject) if subject else None,
                metadata=record,
                spender=spender,
            )
        except InsufficientCreditsError as refusal:
            code = "BUDGET_EXCEEDED" if policy is OveragePolicy.REJECT else "OVERDRAFT_LIMIT_EXCEEDED"
            raise CyclesError(409, code, refusal.detail, {"code": refusal.code}) from refusal
        except KeyConflictError:
            return  # made meanwhile with another amount: the caller compares

    async def _start_request(self, principal: Principal, body: CyclesDecideBody, key: str | None) -> StartRequest:
        return StartRequest(
            user_id=_user_of(body.subject),
            feature=FeatureRef(value=await self._feature(body.action.kind)),
            usage_key=key,
            organization_id=_organization_of(body.subject),
            estimated_credits=self._credits(body.estimate.unit, body.estimate.amount),
            ttl_seconds=hold_seconds(body) if isinstance(body, CyclesCreateBody) else None,
            metadata=create_record(body) if isinstance(body, CyclesCreateBody) else None,
            spender=None if principal.user_id else (spender_of(principal.line) or principal.id),
        )

    async def _feature(self, kind: str) -> str:
        """Return the feature of an action: the one with its kind as key, else `cycles`."""
        catalog = await self._catalog.current()
        for key in (kind, _FALLBACK_FEATURE):
            if key in catalog.features:
                return key
        raise CyclesError(
            404,
            "NOT_FOUND",
            f"no feature {kind!r} and no feature {_FALLBACK_FEATURE!r}; define one with PUT /api/features",
        )

    async def _find(self, reservation_id: str) -> Reservation:
        async with self._database.transaction(read_only=True) as session:
            found = (await self._credit.find_started(session, [reservation_id])).get(reservation_id)
        record = exact_json.mapping((found.charge.metadata or {}).get("cycles") if found is not None else None)
        if found is None or not record:
            raise not_found(reservation_id)
        return Reservation(found.charge, found.user_id, record, self._clock.now())

    def _credits(self, unit: Unit, amount: int) -> Decimal:
        return credits_of(unit, amount, credit_price_usd=self._price)

    def _detail(self, reservation: Reservation) -> Mapping[str, Any]:
        charge, record = reservation.charge, reservation.record
        scopes = SubjectBody.model_validate(record["subject"]).scopes
        detail: dict[str, Any] = {
            "reservation_id": charge.usage_key,
            "status": reservation.status,
            "subject": record["subject"],
            "action": record["action"],
            "reserved": reservation.reserved,
            "created_at_ms": milliseconds(charge.created_at),
            "expires_at_ms": reservation.expires_at_ms,
            "scope_path": scopes[-1],
            "affected_scopes": scopes,
            "metadata": record.get("metadata"),
        }
        if reservation.status == "COMMITTED":
            detail["committed"] = reservation.committed(credit_price_usd=self._price)
            detail["committed_metadata"] = reservation.closing.get("metadata")
        if charge.closed_at is not None and reservation.status != "EXPIRED":
            detail["finalized_at_ms"] = milliseconds(charge.settled_at or charge.closed_at)
        return {name: value for name, value in detail.items() if value is not None}

    def _balance(self, wallet: Wallet, subject: SubjectBody, unit: Unit) -> Mapping[str, Any]:
        def amount(credits: Decimal) -> Mapping[str, object]:
            return amount_of(unit, credits, credit_price_usd=self._price)

        return {
            "scope": subject.scopes[-1],
            "scope_path": subject.scopes[-1],
            "remaining": amount(wallet.free - wallet.credit_limit),
            "reserved": amount(wallet.held),
            "debt": amount(wallet.debt),
            "overdraft_limit": amount(wallet.credit_limit),
            "is_over_limit": wallet.debt > wallet.credit_limit,
        }


_UNITS = (Unit.CREDITS, Unit.USD_MICROCENTS)
_DETAILS = {"committed", "committed_metadata", "finalized_at_ms", "metadata"}


def _user_of(subject: SubjectBody) -> str:
    """Return whose wallet pays: the dimension `user_id`, else the tenant."""
    user_id = (subject.dimensions or {}).get("user_id") or subject.tenant
    if user_id is None:
        raise CyclesError(
            400,
            "INVALID_REQUEST",
            "subject names nobody who pays: send tenant, or dimensions.user_id, with a user's id",
        )
    return user_id


def _organization_of(subject: SubjectBody) -> str | None:
    return (subject.dimensions or {}).get("organization_id")


def _created(reservation: Reservation) -> Mapping[str, Any]:
    scopes = SubjectBody.model_validate(reservation.record["subject"]).scopes
    return {
        "decision": "ALLOW",
        "reservation_id": reservation.charge.usage_key,
        "reserved": reservation.reserved,
        "expires_at_ms": reservation.first_expires_at_ms,
        "remaining_ttl_ms": reservation.remaining_ms(reservation.first_expires_at_ms),
        "scope_path": scopes[-1],
        "affected_scopes": scopes,
    }


def _check_same_commit(reservation: Reservation, body: CyclesCommitBody) -> None:
    """Raise unless the reservation was committed by this request."""
    if reservation.closing.get("key") != digest_of(body.idempotency_key):
        raise CyclesError(409, "RESERVATION_FINALIZED", "the reservation is committed by another request")
    if reservation.closing.get("amount") != body.actual.amount:
        raise CyclesError(
            409, "IDEMPOTENCY_MISMATCH", "idempotency_key was used to commit another amount; a commit cannot be changed"
        )


def _commit_answer(reservation: Reservation, price: Decimal) -> Mapping[str, Any]:
    charged = reservation.committed(credit_price_usd=price)
    left = max(0, int(reservation.record["amount"]) - int(str(charged["amount"])))
    return {
        "status": "COMMITTED",
        "charged": charged,
        "released": {"unit": reservation.unit.value, "amount": left},
    }


def _ended(reservation: Reservation) -> CyclesError:
    name = reservation.charge.usage_key
    if reservation.status in {"COMMITTED", "RELEASED"}:
        return CyclesError(409, "RESERVATION_FINALIZED", f"{name!r} is {reservation.status.lower()}")
    return CyclesError(410, "RESERVATION_EXPIRED", f"{name!r} has expired; a commit is still charged, flagged late")
