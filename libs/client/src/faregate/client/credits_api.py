"""Tap in, tap out: what a client and its rides ask of the gateway, and what happens when it does not answer."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from faregate.client.charge_session import Charge, Ride, RideRequest
from faregate.client.errors import CreditsError, HoldClosed, Unavailable, UnknownUsageKey
from faregate.client.request_bodies import END_PATH, EXTEND_PATH, START_PATH, VOID_PATH, settlement_body, start_body
from faregate.client.transport.delivery import SettlementDelivery
from faregate.client.transport.http import GatewayConnection, HttpCall
from faregate.client.transport.outage import DebtBook
from faregate.client.transport.spool import Entry
from faregate.client.values import (
    Accepted,
    Authorization,
    ModelUsage,
    Settlement,
    Voided,
    authorization_in,
    settlement_in,
)
from faregate.wire.clock import monotonic_seconds, now

__all__ = ["SettleVia", "Till"]

log = logging.getLogger("faregate.client")

SettleVia = Literal["api", "queue"]

_LEAST_TTL_SECONDS = 60
"""Of a hold whose end we know only by another machine's clock."""
_LONGEST_SECONDS = 86_400
"""How long the hold of one ride is extended at most; the longest life of a hold."""


class Till:
    """The three phases, with the outage policy around them."""

    def __init__(
        self, gateway: GatewayConnection, delivery: SettlementDelivery, debts: DebtBook, settle_via: SettleVia
    ) -> None:
        self._gateway = gateway
        self._delivery = delivery
        self._debts = debts
        self._settle_via = settle_via
        self._open: set[Charge] = set()

    def opened(self, charge: Charge) -> None:
        """Take note of a use that runs."""
        self._open.add(charge)

    def closed(self, charge: Charge) -> None:
        """Take note that it ended."""
        self._open.discard(charge)

    async def end_all(self, *, patient: bool) -> None:
        """End what still runs: a stream is settled by what came; the end of a block is left to it, and its hold to time.

        Args:
            patient: send the settlements; else they go to the spool.
        """
        for charge in list(self._open):
            charge.release()
            if charge.bounded:
                continue
            if not patient:
                charge.keep()
                continue
            with suppress(CreditsError):  # logged
                await charge.finish()

    async def tap_in(self, request: RideRequest) -> Authorization:
        """Open a hold; while nobody answers, let the use pass if its feature's outage policy has room."""
        try:
            data = await self._gateway.post(HttpCall(START_PATH, start_body(request)))
        except Unavailable:
            if not self._debts.admit(request.feature, request.usage_key, request.estimated_credits):
                raise
            log.warning("%s of %s runs on debt: no gateway", request.usage_key, request.user_id)
            return Authorization(request.user_id, request.feature, request.usage_key, on_debt=True)
        authorization = authorization_in(data, feature=request.feature)
        self._debts.learn(request.feature, authorization.outage_limit_credits, authorization.hold)
        return authorization

    async def tap_out(
        self, ride: Ride, usages: Sequence[ModelUsage], metadata: Mapping[str, Any], duration_ms: int
    ) -> Settlement | Accepted:
        """Settle a ride: at once if that is wanted and possible, else by queue or spool."""
        body = _settlement_of(ride, usages, metadata, duration_ms)
        if self._settle_via == "api":
            try:
                return await self.settle_now(body)
            except Unavailable as error:
                log.warning("%s is settled later: %s", ride.usage_key, error)
            except asyncio.CancelledError:
                self._delivery.keep(self._entry(ride.feature, body))
                raise
        return await self.settle_later(ride.feature, body)

    async def settle_now(self, body: dict[str, Any]) -> Settlement:
        """Settle over HTTP."""
        settled = settlement_in(await self._gateway.post(HttpCall(END_PATH, body)))
        self._debts.settled(settled.usage_key)
        return settled

    async def settle_later(self, feature: str, body: dict[str, Any]) -> Accepted:
        """Hand the settlement over: to the broker, to the gateway's queue, or to the spool."""
        by = await self._delivery.send(self._entry(feature, body))
        if by != "spool":
            self._debts.settled(body["usage_key"])
        return Accepted(body["usage_key"], by)

    async def turn_back(self, ride: Ride, reason: str) -> Voided:
        """Void a ride. If nobody answers the hold ends by itself; that is no reason to fail."""
        if ride.authorization.on_debt:
            self._debts.settled(ride.usage_key)
            return Voided(ride.user_id, ride.usage_key)
        try:
            return await self.void(ride.usage_key, ride.user_id, reason)
        except (Unavailable, HoldClosed) as error:
            log.warning("%s was not voided, its hold ends by itself: %s", ride.usage_key, error)
            return Voided(ride.user_id, ride.usage_key)

    async def void(self, usage_key: str, user_id: str, reason: str | None) -> Voided:
        """Close a hold unused."""
        body = {"usage_key": usage_key, "user_id": user_id} | ({"reason": reason} if reason else {})
        data = await self._gateway.post(HttpCall(VOID_PATH, body))
        return Voided(data["user_id"], data["usage_key"], Decimal(data["credits"]), Decimal(data["balance"]))

    async def extend(self, usage_key: str, user_id: str, ttl_seconds: int) -> datetime:
        """Let an open hold last longer."""
        body = {"usage_key": usage_key, "user_id": user_id, "ttl_seconds": ttl_seconds}
        data = await self._gateway.post(HttpCall(EXTEND_PATH, body))
        return datetime.fromisoformat(data["expires_at"])

    async def keep_open(self, ride: Ride) -> None:
        """Extend the hold of a long ride at half its life, until cancelled; for a day at most.

        A stream that brings nothing for that long is left to itself: its reader may be gone.
        """
        ends = ride.authorization.expires_at or now()
        ttl_seconds = ride.request.ttl_seconds or max(_LEAST_TTL_SECONDS, round((ends - now()).total_seconds()))
        until, stirred = monotonic_seconds() + _LONGEST_SECONDS, ride.stirred
        while monotonic_seconds() < until:
            await asyncio.sleep(ttl_seconds / 2)
            if not ride.bounded and ride.stirred == stirred:
                log.warning("the stream of %s brings nothing; its hold is not extended", ride.usage_key)
                return
            stirred = ride.stirred
            try:
                await self.extend(ride.usage_key, ride.user_id, ttl_seconds)
            except (HoldClosed, UnknownUsageKey) as error:
                log.warning("the hold of %s is gone: %s", ride.usage_key, error)
                return
            except CreditsError as error:
                log.warning("the hold of %s was not extended: %s", ride.usage_key, error)

    def keep(self, ride: Ride, usages: Sequence[ModelUsage], metadata: Mapping[str, Any], duration_ms: int) -> None:
        """Put the settlement of a ride into the spool: there is no loop any more that could send it."""
        log.warning("%s ends without an event loop; its settlement is kept in the spool", ride.usage_key)
        self._delivery.keep(self._entry(ride.feature, _settlement_of(ride, usages, metadata, duration_ms)))

    def _entry(self, feature: str, body: dict[str, Any]) -> Entry:
        return Entry(END_PATH, body, feature, self._debts.of(body["usage_key"]))


def _settlement_of(
    ride: Ride, usages: Sequence[ModelUsage], metadata: Mapping[str, Any], duration_ms: int
) -> dict[str, Any]:
    return settlement_body(
        ride.feature,
        ride.user_id,
        ride.usage_key,
        usages=usages,
        organization_id=ride.request.organization_id,
        duration_ms=duration_ms,
        metadata=metadata,
    )
