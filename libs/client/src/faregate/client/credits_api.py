"""Calls of the credits process: authorise, settle, void, extend."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal

from faregate.client.charge_handle import ChargeHandle
from faregate.client.charge_request import ChargeRequest
from faregate.client.charge_session import ChargeSession
from faregate.client.errors import FaregateError, HoldClosedError, UnavailableError, UnknownUsageKeyError
from faregate.client.request_bodies import END_PATH, EXTEND_PATH, START_PATH, VOID_PATH, settlement_body, start_body
from faregate.client.transport.call import HttpCall, IGateway
from faregate.client.transport.delivery import SettlementDelivery
from faregate.client.transport.outage import OutageDebts
from faregate.client.transport.spool import Entry
from faregate.client.values import (
    Authorization,
    ModelUsage,
    UseResult,
    read_authorization,
    read_settlement,
    read_void,
    voided,
)
from faregate.wire.clock import monotonic_seconds, now

__all__ = ["CreditsApi", "SettleVia"]

log = logging.getLogger("faregate.client")

SettleVia = Literal["api", "queue"]

_MIN_TTL_SECONDS = 60
"""Lower bound on the lifetime of a hold whose expiry was set by another machine's clock."""
_MAX_SECONDS = 86_400
"""Longest time for which the hold of one session is extended; also the longest lifetime of a hold."""


class CreditsApi:
    """Calls of the credits process, with the outage policies of the features."""

    def __init__(
        self, gateway: IGateway, delivery: SettlementDelivery, debts: OutageDebts, settle_via: SettleVia
    ) -> None:
        self._gateway = gateway
        self._delivery = delivery
        self._debts = debts
        self._settle_via = settle_via
        self._open: set[ChargeHandle] = set()

    def track(self, charge: ChargeHandle) -> None:
        """Remember a charge that is open."""
        self._open.add(charge)

    def untrack(self, charge: ChargeHandle) -> None:
        """Forget a charge that has ended."""
        self._open.discard(charge)

    async def finish_all(self, *, patient: bool) -> None:
        """Finish the open charges.

        A stream is settled with the usage observed so far. A block of code settles at its own end; its hold is no longer
        extended.

        Args:
            patient: send the settlements; otherwise write them to the spool.
        """
        for charge in list(self._open):
            charge.release()
            if charge.bounded:
                continue
            if not patient:
                charge.finish_by_spool()
                continue
            with suppress(FaregateError):  # logged
                await charge.finish()

    async def authorize(self, request: ChargeRequest) -> Authorization:
        """Open a hold; while the gateway is unavailable, allow the use within the feature's outage policy.

        Raises:
            UnavailableError: the gateway did not answer, and the outage policy does not allow the use.
        """
        try:
            data = await self._gateway.post(HttpCall(START_PATH, start_body(request)))
        except UnavailableError:
            if not self._debts.admit(request.feature, request.usage_key, request.estimated_credits):
                raise
            log.warning("the gateway is unavailable: %s of %s runs on debt", request.usage_key, request.user_id)
            return Authorization(request.user_id, request.feature, request.usage_key, on_debt=True)
        authorization = read_authorization(data, feature=request.feature)
        self._debts.learn(request.feature, authorization.outage_limit_credits, authorization.hold)
        return authorization

    async def settle(
        self, session: ChargeSession, usages: Sequence[ModelUsage], metadata: Mapping[str, Any], duration_ms: int
    ) -> UseResult:
        """Settle a session: at once if `settle_via` is "api" and the gateway answers, else by queue or spool."""
        body = _settlement_of(session, usages, metadata, duration_ms)
        if self._settle_via == "api":
            try:
                return await self.settle_now(body)
            except UnavailableError as error:
                log.warning("%s will be settled later: %s", session.usage_key, error)
            except asyncio.CancelledError:
                self._delivery.keep(self._entry(session.feature, body))
                raise
        return await self.settle_later(session.feature, body)

    async def settle_now(self, body: dict[str, Any]) -> UseResult:
        """Settle over HTTP."""
        settled = read_settlement(await self._gateway.post(HttpCall(END_PATH, body)))
        self._debts.settled(settled.usage_key)
        return settled

    async def settle_later(self, feature: str, body: dict[str, Any]) -> UseResult:
        """Hand over the settlement to the broker, to the gateway's queue, or to the spool."""
        by = await self._delivery.send(self._entry(feature, body))
        if by != "spool":
            self._debts.settled(body["usage_key"])
        return UseResult(body["user_id"], body["usage_key"], "pending", by=by)

    async def void(self, session: ChargeSession, reason: str) -> UseResult:
        """Void a session. If the gateway does not answer, the hold expires; that is not an error."""
        if session.authorization.on_debt:
            self._debts.settled(session.usage_key)
            return voided(session.user_id, session.usage_key)
        try:
            return await self.void_hold(session.usage_key, session.user_id, reason)
        except (UnavailableError, HoldClosedError) as error:
            log.warning("%s was not voided, its hold will expire: %s", session.usage_key, error)
            return voided(session.user_id, session.usage_key)

    async def void_hold(self, usage_key: str, user_id: str, reason: str | None) -> UseResult:
        """Close a hold without a charge."""
        body = {"usage_key": usage_key, "user_id": user_id} | ({"reason": reason} if reason else {})
        return read_void(await self._gateway.post(HttpCall(VOID_PATH, body)))

    async def extend(self, usage_key: str, user_id: str, ttl_seconds: int) -> datetime:
        """Extend an open hold to at least `ttl_seconds` from now; return its new expiry."""
        body = {"usage_key": usage_key, "user_id": user_id, "ttl_seconds": ttl_seconds}
        data = await self._gateway.post(HttpCall(EXTEND_PATH, body))
        return datetime.fromisoformat(data["expires_at"])

    async def extend_until_cancelled(self, session: ChargeSession) -> None:
        """Extend the hold of a session each half of its lifetime until cancelled, for at most a day.

        The hold of a stream that delivered nothing for that time is no longer extended: its reader may be gone.
        """
        ends = session.authorization.expires_at or now()
        ttl_seconds = session.request.ttl_seconds or max(_MIN_TTL_SECONDS, round((ends - now()).total_seconds()))
        until, activity = monotonic_seconds() + _MAX_SECONDS, session.activity
        while monotonic_seconds() < until:
            await asyncio.sleep(ttl_seconds / 2)
            if not session.bounded and session.activity == activity:
                log.warning("the stream of %s delivers nothing; its hold is not extended", session.usage_key)
                return
            activity = session.activity
            try:
                await self.extend(session.usage_key, session.user_id, ttl_seconds)
            except (HoldClosedError, UnknownUsageKeyError) as error:
                log.warning("the hold of %s is closed: %s", session.usage_key, error)
                return
            except FaregateError as error:
                log.warning("the hold of %s was not extended: %s", session.usage_key, error)

    def settle_by_spool(
        self, session: ChargeSession, usages: Sequence[ModelUsage], metadata: Mapping[str, Any], duration_ms: int
    ) -> UseResult:
        """Write the settlement of a session to the spool, when no event loop is left to send it."""
        log.warning("%s ends without an event loop; its settlement is written to the spool", session.usage_key)
        self._delivery.keep(self._entry(session.feature, _settlement_of(session, usages, metadata, duration_ms)))
        return UseResult(session.user_id, session.usage_key, "pending", by="spool")

    def _entry(self, feature: str, body: dict[str, Any]) -> Entry:
        return Entry(END_PATH, body, feature, self._debts.of(body["usage_key"]))


def _settlement_of(
    session: ChargeSession, usages: Sequence[ModelUsage], metadata: Mapping[str, Any], duration_ms: int
) -> dict[str, Any]:
    return settlement_body(
        session.feature,
        session.user_id,
        session.usage_key,
        usages=usages,
        organization_id=session.request.organization_id,
        duration_ms=duration_ms,
        metadata=metadata,
    )
